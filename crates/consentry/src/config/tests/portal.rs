//! Plans, perks, the policy of review and webhooks: what is wrong is told with its place.

use std::time::Duration;

use domain::policy::ScopeTier;
use domain::revision::RevisionField;

use super::{RIGHT, parse};

const PORTAL: &str = r#"
[[plans]]
name = "free"
title = "Free"
text = "To build and try."
default = true
rate = "600/1m"
calls_per_day = 10_000
users_max = 50
[[plans]]
name = "grow"
title = "Grow"
text = "For many users."
calls_per_month = 1_000_000
[[perks]]
name = "premium-month"
title = "A premium month"
text = "For the developer."
[review]
fields = ["name", "logo"]
tiers = ["sensitive", "high"]
again_after = "365d"
unused_after = "180d"
reports_max = 5
[[review.answers]]
title = "Screens"
text = "Please show us each screen."
"#;

/// The problems of `text`, with lines counted from its own first.
fn problems(text: &str) -> String {
    let before = RIGHT.lines().count();
    let said = parse(&format!("{RIGHT}{text}")).unwrap_err();
    let line = |line: &str| match line.strip_prefix("etc/consentry.toml:") {
        None => line.to_owned(),
        Some(rest) => {
            let (number, rest) = rest.split_once(':').unwrap();
            format!("{}:{rest}", number.parse::<usize>().unwrap() - before)
        }
    };
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn plans_perks_and_review_mean_what_the_file_says() {
    let config = parse(&format!("{RIGHT}{PORTAL}")).unwrap();
    let policy = config.policy_without_credentials();
    let [free, grow] = &*policy.plans else { panic!("{:?}", policy.plans) };
    assert_eq!((&*free.name, free.is_default, free.users_max), ("free", true, Some(50)));
    assert_eq!((free.calls_per_day, free.calls_per_month), (Some(10_000), None));
    assert_eq!(free.rate.unwrap().requests, 600);
    assert_eq!((grow.calls_per_month, grow.users_max), (Some(1_000_000), None));
    assert_eq!(policy.perks[0].title, "A premium month");
    assert_eq!(*policy.reviewed, [RevisionField::Name, RevisionField::Logo]);
    let review = &policy.review;
    assert!(review.tiers.contains(&ScopeTier::High) && !review.tiers.contains(&ScopeTier::Low));
    let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
    assert_eq!((review.again_after, review.unused_after), (days(365), days(180)));
    assert_eq!((review.reports_max, review.answers.len()), (5, 1));
}

#[test]
fn what_is_wrong_with_plans_and_perks_is_told_with_its_place() {
    let text = r#"[[plans]]
name = "Free Plan"
title = "Free"
default = true
rate = "fast"
calls_per_day = 0
calls_per_month = -1
users_max = "many"
user_max = 3
[[plans]]
name = "grow"
title = "Grow"
text = "For many users."
default = "yes"
[[plans]]
name = "grow"
title = "Grow again"
text = "The same."
[[perks]]
name = "premium"
title = "Premium"
[[perks]]
name = "badge"
title = "A badge"
text = "For your page."
[[perks]]
name = "badge"
title = "Another"
text = "For your page."
"#;
    insta::assert_snapshot!(problems(text), @r#"
    1:1: `text` is missing in [plans]
        What developers read about it.
    2:8: `name` cannot be `Free Plan`
        Use at most 40 small letters, digits, `-` and `_`.
    5:8: `rate` cannot be `fast`
        Write calls per period, such as "100/1m" or "5/s".
    6:17: `calls_per_day` cannot be `0`
        Write a whole number from 1 on, or leave it out for no limit.
    7:19: `calls_per_month` cannot be `-1`
        Write a whole number from 1 on, or leave it out for no limit.
    8:13: `users_max` cannot be `many`
        Write a whole number from 1 on, or leave it out for no limit.
    9:1: `user_max` is not a key of [plans]
        Did you mean `users_max`?
    14:11: `default` is string, it must be: true or false
    16:8: `grow` is there twice
        Remove one of them.
    19:1: `text` is missing in [perks]
        What developers read about it.
    27:8: `badge` is there twice
        Remove one of them.
    "#);
}

#[test]
fn exactly_one_plan_is_the_default() {
    let plan = |name: &str, more: &str| {
        format!("[[plans]]\nname = \"{name}\"\ntitle = \"T\"\ntext = \"t\"\n{more}")
    };
    let default = "default = true\n";
    for (plans, said) in [
        ([plan("a", ""), plan("b", "")], "1:1: 0 of the plans are the default"),
        ([plan("a", default), plan("b", default)], "1:1: 2 of the plans are the default"),
    ] {
        let found = problems(&plans.concat());
        assert!(found.contains(said) && found.contains("exactly one"), "{found}");
    }
    parse(&format!("{RIGHT}{}{}", plan("a", default), plan("b", ""))).unwrap();
}

#[test]
fn what_is_wrong_with_the_policy_of_review_is_told_with_its_place() {
    let text = r#"[review]
fields = ["name", "logos"]
tiers = ["hihg", "low"]
again_after = "a year"
unused_after = 180
reports_max = 0
retire_after = "1d"
[[review.answers]]
title = "Screens"
[[review.answers]]
title = "Purpose"
text = 7
"#;
    insta::assert_snapshot!(problems(text), @r#"
    2:19: `fields` cannot be `logos`
        Did you mean `logo`? It is one of: name, description, homepage, privacy_url, terms_url, redirect_uris, logo.
    3:10: `tiers` cannot be `hihg`
        It is one of: low, sensitive, high.
    4:15: `again_after` cannot be `a year`
        Write a whole number with a unit: ms, s, m, h or d, such as "10m".
    5:16: `unused_after` is integer, it must be: duration
    6:15: `reports_max` cannot be `0`
        Write a whole number above 0.
    7:1: `retire_after` is not a key of [review]
        Known here: fields, mail, tiers, again_after, unused_after, reports_max, answers.
    8:1: `text` is missing in [review.answers]
        What is inserted.
    12:8: `text` is integer, it must be: text
    "#);
}

#[test]
fn what_is_wrong_with_webhooks_is_told_with_its_place() {
    let text = r#"[[webhooks]]
name = "chat"
url = "http://10.0.0.7/hooks"
secret = "hunter2"
events = ["app.suspendd", "grant.created"]
[[webhooks]]
name = "billing"
url = "nowhere"
secret_file = "gone.secret"
events = "plan.decided"
[[webhooks]]
url = "https://10.0.0.7/hooks"
event = ["plan.decided"]
"#;
    let found = problems(text);
    assert!(!found.contains("hunter2"), "{found}");
    insta::assert_snapshot!(found, @r"
    3:7: `url` cannot be `http://10.0.0.7/hooks`
        Use https, or plain http to this machine itself.
    4:10: a secret is `whsec_` and base64
        `echo whsec_$(openssl rand -base64 32)` makes one.
    5:11: `events` cannot be `app.suspendd`
        Did you mean `app.suspended`? It is one of: app.suspended, app.resumed, plan.decided, perk.decided, app.submitted, app.reported.
    5:27: `events` cannot be `grant.created`
        It is one of: app.suspended, app.resumed, plan.decided, perk.decided, app.submitted, app.reported.
    8:7: `url` cannot be `nowhere`
        Write https://HOST/PATH.
    9:15: etc/gone.secret cannot be read: entity not found
        Write the secret into that file.
    10:10: `events` is string, it must be: array of texts
    11:1: `name` is missing in [webhooks]
        For you and the log. What waits belongs to the name: with another one it is gone.
    11:1: the messages would not be signed
        Add `secret_file` (or `secret`).
    11:1: the webhook hears of nothing
        Add `events`.
    13:1: `event` is not a key of [webhooks]
        Did you mean `events`?
    ");
}
