//! Webhooks of the operator, and who of staff is told, as an operator writes them down.

use domain::webhook::EventKind;

use super::{RIGHT, parse};

const WEBHOOKS: &str = r#"
[review]
mail = ["reviews@example.com"]
[[webhooks]]
name = "billing"
url = "https://10.0.0.7/hooks"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
events = ["plan.decided", "perk.decided"]
"#;

fn wrong(from: &str, to: &str) -> String {
    assert!(WEBHOOKS.contains(from), "{from}");
    parse(&format!("{RIGHT}{}", WEBHOOKS.replace(from, to))).unwrap_err()
}

#[test]
fn webhooks_mean_what_the_file_says() {
    let config = parse(&format!("{RIGHT}{WEBHOOKS}")).unwrap();
    let [billing] = config.webhooks() else { panic!("{config:?}") };
    assert_eq!((&*billing.name, &*billing.url), ("billing", "https://10.0.0.7/hooks"));
    assert!(billing.events.contains(&EventKind::PlanDecided) && billing.events.len() == 2);
    assert_eq!(config.policy_without_credentials().review_mail, ["reviews@example.com"]);
    assert!(!format!("{config:?}").contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
}

#[test]
fn what_is_wrong_with_a_webhook_is_said() {
    for (from, to, said) in [
        ("https://10.0.0.7/hooks", "http://10.0.0.7/hooks", "Use https"),
        ("https://10.0.0.7/hooks", "billing", "https://HOST/PATH"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter2", "openssl rand"),
        ("secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n", "", "secret_file"),
        ("\"plan.decided\"", "\"plan.decides\"", "Did you mean `plan.decided`?"),
        ("\"plan.decided\"", "\"grant.created\"", "It is one of: app.suspended"),
        ("events = [\"plan.decided\", \"perk.decided\"]\n", "", "Add `events`"),
        ("name = \"billing\"\n", "", "name"),
        ("reviews@example.com", "reviews", "Write an address"),
    ] {
        let error = wrong(from, to);
        assert!(error.contains(said), "{to}: {error}");
        assert!(!error.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{error}");
    }
    let (_, again) = WEBHOOKS.split_once("[[webhooks]]").unwrap();
    let twins = parse(&format!("{RIGHT}{WEBHOOKS}[[webhooks]]{again}")).unwrap_err();
    assert!(twins.contains("two webhooks have the name `billing`"), "{twins}");
}
