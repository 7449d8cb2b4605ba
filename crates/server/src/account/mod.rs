//! What a person does with their own account here: sign in and out, see and end what apps may do.

pub mod connected;
pub mod connected_view;
mod device;
mod held;
pub mod home;
pub(crate) mod limits;
mod opening;
mod proof;
pub mod second_step;
pub mod security;
pub mod sign_in;
pub mod sign_out;
pub mod step_up;
pub mod taking_back;
