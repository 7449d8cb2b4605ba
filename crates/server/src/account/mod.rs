//! What a person does with their own account here: make one, sign in and out, see and end
//! what apps may do, and look after password, address and sessions.

pub mod connected;
pub mod connected_view;
mod device;
pub mod email;
pub mod forgotten;
pub mod hand_off;
mod held;
pub mod home;
pub(crate) mod limits;
pub(crate) mod links;
mod opening;
pub mod password;
mod proof;
pub mod second_step;
pub mod security;
pub mod settings;
pub mod sign_in;
pub mod sign_out;
pub mod sign_up;
pub mod step_up;
pub mod taking_back;
