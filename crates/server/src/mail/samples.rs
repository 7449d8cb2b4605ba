//! One example of every message, to try the text files with.

use std::net::{IpAddr, Ipv4Addr};

use domain::id::{AppId, InvitationId, LinkId};
use domain::mail::{Asked, MailKind, Seen, StoredHash};
use domain::password::PasswordHash;
use domain::time::Timestamp;

use super::words::Told;

fn seen() -> Seen {
    Seen {
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
    }
}

fn asked() -> Asked {
    Asked {
        link: LinkId::from_bytes([1; 16]),
        user: None,
        browser: String::new(),
        seen: seen(),
        expires_at: Timestamp::from_seconds(1_775_122_200),
    }
}

/// The name of the text file and what it tells; together they use every branch of the texts.
pub(super) fn all() -> Vec<(&'static str, MailKind)> {
    let app = || "Trading Bot".to_owned();
    let permissions = || vec!["see your balances".to_owned(), "place orders".to_owned()];
    let hash = StoredHash::from(&PasswordHash::from_phc("$argon2id$sample".to_owned()));
    let sign_up =
        || MailKind::SignUp { asked: asked(), name: "Alice".to_owned(), password: hash.clone() };
    let mut kinds = vec![
        sign_up(),
        MailKind::AddressToVerify(asked()),
        MailKind::AddressChanged { new_address: "new@example.com".to_owned(), seen: seen() },
        MailKind::PasswordReset(asked()),
        MailKind::PasswordChanged { seen: seen(), by_link: false },
        MailKind::PasswordChanged { seen: seen(), by_link: true },
        MailKind::NewDevice { seen: seen() },
        MailKind::NewGrant { app: app(), permissions: permissions(), seen: seen() },
        MailKind::TheftDetected { app: app() },
        MailKind::PartnerKeyIssued { app: app(), permissions: permissions(), seen: seen() },
        MailKind::PartnerKeyIssued { app: app(), permissions: Vec::new(), seen: seen() },
        MailKind::SecondFactorsRemovedByStaff,
        MailKind::RecoveryCodeUsed { left: 4, seen: seen() },
        MailKind::TeamInvitation {
            asked: asked(),
            invitation: InvitationId::from_bytes([2; 16]),
            team: "Night Desk".to_owned(),
            inviter: "Alice".to_owned(),
        },
        MailKind::AppTransfer {
            app: app(),
            app_id: AppId::from_bytes([3; 16]),
            giver: "Alice".to_owned(),
        },
        MailKind::AppUnused { app: app(), id: "a1".to_owned(), days: 180, is_retired: false },
        MailKind::AppUnused { app: app(), id: "a1".to_owned(), days: 180, is_retired: true },
        MailKind::Test,
    ];
    for why in ["user", "unused", "password", "blocked", "app"] {
        kinds.push(MailKind::PartnerKeyEnded { app: app(), why: why.to_owned() });
    }
    for factor in ["totp", "passkey", "recovery_codes"] {
        let (factor, label) = (factor.to_owned(), "Phone".to_owned());
        kinds.extend([
            MailKind::SecondFactorAdded {
                factor: factor.clone(),
                label: label.clone(),
                seen: seen(),
            },
            MailKind::SecondFactorRemoved { factor, label, seen: seen() },
        ]);
    }
    kinds.extend(about_apps());
    let mut all: Vec<_> = kinds.into_iter().map(|kind| (kind.name(), kind)).collect();
    all.push(("sign_up_taken", sign_up()));
    all
}

/// What developers, staff and users hear of an app.
fn about_apps() -> Vec<MailKind> {
    let (app, app_id) = (|| "Trading Bot".to_owned(), || "0123456789abcdef".repeat(2));
    let mut kinds = vec![
        MailKind::AppSuspended { app: app(), app_id: app_id(), reason: "It spams.".to_owned() },
        MailKind::AppResumed { app: app(), app_id: app_id(), reason: "It stopped.".to_owned() },
        MailKind::StaffWrote { app: app(), app_id: app_id() },
        MailKind::WebhookDisabled {
            app: app(),
            app_id: app_id(),
            url: "https://bot.example.com/hooks".to_owned(),
        },
        MailKind::AppSubmitted { app: app(), app_id: app_id() },
        MailKind::DeveloperWrote { app: app(), app_id: app_id() },
        MailKind::AppUnavailable { app: app() },
    ];
    for decision in ["approved", "changes_asked", "rejected"] {
        for note in ["", "Say what you do with balances."] {
            let (decision, note) = (decision.to_owned(), note.to_owned());
            kinds.push(MailKind::AppDecided { app: app(), app_id: app_id(), decision, note });
        }
    }
    for decision in ["granted", "refused", "given"] {
        for note in ["", "Until the end of the year."] {
            let (wish, decision, note) =
                ("The grow plan".to_owned(), decision.to_owned(), note.to_owned());
            let (app, app_id) = (app(), app_id());
            kinds.push(MailKind::WishDecided { app, app_id, wish, decision, note });
        }
    }
    for (ends_with, days) in [("q7Xk", 7), ("", 1)] {
        let ends_with = ends_with.to_owned();
        kinds.push(MailKind::SecretExpiring { app: app(), app_id: app_id(), ends_with, days });
    }
    kinds
}

pub(super) fn told() -> Told<'static> {
    Told {
        brand: "Harbor",
        issuer: "https://id.example.com",
        link: Some("https://id.example.com/reset-password?link=cs_ml_sample"),
        when: "2026-04-02 09:00 UTC".to_owned(),
        until: "2026-04-02 09:30 UTC".to_owned(),
    }
}
