//! The words of `prompt` (OpenID Connect Core §3.1.2.1).

use std::collections::BTreeSet;

use super::{AuthorizeErrorCode, Refusal, refuse};

/// One word of `prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

/// The words of `prompt`; `none` stands alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts(BTreeSet<Prompt>);

impl Prompts {
    pub fn contains(&self, prompt: Prompt) -> bool {
        self.0.contains(&prompt)
    }

    pub(super) fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        let mut prompts = BTreeSet::new();
        for word in text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
            prompts.insert(match word {
                "none" => Prompt::None,
                "login" => Prompt::Login,
                "consent" => Prompt::Consent,
                "select_account" => Prompt::SelectAccount,
                _ => {
                    return refuse(
                        AuthorizeErrorCode::InvalidRequest,
                        "prompt must be none, or of login, consent and select_account",
                    );
                }
            });
        }
        // OpenID Connect Core §3.1.2.1
        if prompts.contains(&Prompt::None) && prompts.len() > 1 {
            return refuse(AuthorizeErrorCode::InvalidRequest, "prompt=none must stand alone");
        }
        Ok(Self(prompts))
    }
}
