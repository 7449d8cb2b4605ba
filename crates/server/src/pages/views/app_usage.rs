//! How much an application does: charts drawn here as plain numbers, its plan, what was asked for.

use serde::Serialize;

use super::{AppFrame, AppTab, Layout, Moment, Section, View};

/// `app_usage.html`, GET `/apps/{id}/usage`. The form `ask`, POST `/apps/{id}/plan`: radio `wish`,
/// text `reason`.
#[derive(Clone, Debug, Serialize)]
pub struct AppUsage {
    pub layout: Layout,
    pub frame: AppFrame,
    pub hours: Charts,
    pub days: Charts,
    /// Where the numbers are as a file.
    pub csv: String,
    /// `None`: the operator has no plans.
    pub plan: Option<PlanView>,
    pub offers: Vec<Offer>,
    /// What was asked for, newest first.
    pub wishes: Vec<WishView>,
    pub form: PlanForm,
}

#[derive(Clone, Debug, Serialize)]
pub struct Charts {
    pub charts: Vec<Chart>,
    /// The same as a table, newest first.
    pub rows: Vec<ChartRow>,
    /// `hour`, `day`
    pub unit: &'static str,
}

/// Bars in a box of fixed width and height.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    pub id: String,
    pub title: &'static str,
    pub width: u64,
    pub height: u64,
    pub bars: Vec<Bar>,
    /// What the top of the box stands for.
    pub top: u64,
    pub sum: u64,
    /// The hatched part of all bars; `None`: this chart has none.
    pub errors: Option<u64>,
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    pub x: u64,
    pub width: u64,
    pub y: u64,
    pub height: u64,
    /// The hatched part, at the bottom.
    pub error_y: u64,
    pub error_height: u64,
    pub label: String,
    pub value: u64,
    pub errors: u64,
}

impl Chart {
    const WIDTH: u64 = 960;
    const HEIGHT: u64 = 160;

    /// A value with its hatched part for each label.
    pub fn new(id: String, title: &'static str, values: Vec<(String, (u64, u64))>) -> Self {
        let top = values.iter().map(|(_, (value, _))| *value).max().unwrap_or_default().max(1);
        let count = u64::try_from(values.len()).unwrap_or_default().max(1);
        let step = Self::WIDTH / count;
        // What is there is seen, however small it is.
        let scaled = |value: u64| match value {
            0 => 0,
            value => (value.saturating_mul(Self::HEIGHT) / top).max(2),
        };
        let sum = values.iter().map(|(_, (value, _))| value).sum();
        let errors: u64 = values.iter().map(|(_, (_, errors))| errors).sum();
        let (from, to) = match (values.first(), values.last()) {
            (Some((from, _)), Some((to, _))) => (from.clone(), to.clone()),
            _ => (String::new(), String::new()),
        };
        let bar = |(index, (label, (value, errors))): (u64, (String, (u64, u64)))| Bar {
            x: index * step,
            width: (step * 4 / 5).max(1),
            y: Self::HEIGHT - scaled(value),
            height: scaled(value),
            error_y: Self::HEIGHT - scaled(errors),
            error_height: scaled(errors),
            label,
            value,
            errors,
        };
        Self {
            id,
            title,
            width: Self::WIDTH,
            height: Self::HEIGHT,
            bars: (0..).zip(values).map(bar).collect(),
            top,
            sum,
            errors: (errors > 0).then_some(errors),
            from,
            to,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct ChartRow {
    pub label: String,
    pub calls: u64,
    pub errors: u64,
    pub users: u64,
    pub tokens: u64,
    pub token_errors: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    pub title: String,
    pub text: String,
    /// "600 calls in 1 minute"
    pub rate: Option<String>,
    pub meters: Vec<Meter>,
}

/// What is used of what there may be.
#[derive(Clone, Debug, Serialize)]
pub struct Meter {
    pub id: &'static str,
    pub title: &'static str,
    pub used: u64,
    pub max: u64,
}

/// A plan or a perk that can be asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Offer {
    /// `plan NAME`, `perk NAME`
    pub value: String,
    pub title: String,
    pub text: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct WishView {
    pub title: String,
    pub asked_at: Moment,
    pub reason: String,
    /// `waits`, `granted`, `refused`
    pub state: &'static str,
    pub note: String,
}

/// What was typed, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlanForm {
    pub wish: String,
    pub wish_error: Option<String>,
    pub reason: String,
    pub reason_error: Option<String>,
}

impl View for AppUsage {
    const TEMPLATE: &'static str = "app_usage.html";

    fn sample() -> Vec<Self> {
        let values = |count: u64, label: &dyn Fn(u64) -> String| -> Vec<(String, (u64, u64))> {
            let value = |n: u64| (n * n * 37 % 900) + if n % 7 == 3 { 700 } else { 40 };
            (0..count).map(|n| (label(n), (value(n), value(n) / (9 + n % 5)))).collect()
        };
        let charts = |unit: &'static str, count: u64, label: &dyn Fn(u64) -> String| {
            let plain = |values: Vec<(String, (u64, u64))>, part: u64| {
                values.into_iter().map(|(label, (value, _))| (label, (value / part, 0))).collect()
            };
            let all = values(count, label);
            let row = |(label, (calls, errors)): &(String, (u64, u64))| ChartRow {
                label: label.clone(),
                calls: *calls,
                errors: *errors,
                users: calls / 9,
                tokens: calls / 20,
                token_errors: errors / 20,
            };
            Charts {
                rows: all.iter().rev().map(row).collect(),
                charts: vec![
                    Chart::new(format!("calls-{unit}s"), "Calls", all.clone()),
                    Chart::new(
                        format!("users-{unit}s"),
                        "Active users, about",
                        plain(all.clone(), 9),
                    ),
                    Chart::new(format!("tokens-{unit}s"), "Tokens issued", plain(all, 20)),
                ],
                unit,
            }
        };
        let empty = |unit: &'static str| {
            let nothing = vec![("1 April 2026".to_owned(), (0, 0)); 30];
            let chart = Chart::new(format!("calls-{unit}s"), "Calls", nothing);
            Charts { charts: vec![chart], rows: Vec::new(), unit }
        };
        let meter = |id, title, used, max| Meter { id, title, used, max };
        let offer = |value: &str, title: &str, text: &str| Offer {
            value: value.into(),
            title: title.into(),
            text: text.into(),
        };
        let at = Moment::sample("2026-04-01T08:00:00Z", "yesterday");
        let wish = |title: &str, state, note: &str| WishView {
            title: title.into(),
            asked_at: at.clone(),
            reason: "Two hundred users wait to be let in.".into(),
            state,
            note: note.into(),
        };
        let full = Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::Usage),
            hours: charts("hour", 48, &|n| format!("{} April, {:02}:00", 1 + n / 24, n % 24)),
            days: charts("day", 30, &|n| format!("{} April 2026", n + 1)),
            csv: "/apps/a1/usage.csv".into(),
            plan: Some(PlanView {
                title: "Starter".into(),
                text: "To build and try. Free.".into(),
                rate: Some("600 calls in 1 minute".into()),
                meters: vec![
                    meter("calls-today", "Calls today", 8_120, 10_000),
                    meter("calls-month", "Calls this month", 91_004, 200_000),
                    meter("users", "Users", 50, 50),
                ],
            }),
            offers: vec![
                offer("plan grow", "Grow", "A million calls a month, users without limit."),
                offer("perk premium-month", "A premium month", "One month of the premium account."),
            ],
            wishes: vec![
                wish("Grow", "waits", ""),
                wish("A premium month", "granted", "Have fun with it."),
                wish("Partner", "refused", "Come back with ten users."),
            ],
            form: PlanForm::default(),
        };
        let refused = PlanForm {
            wish: "plan grow".into(),
            wish_error: Some("You have asked for this. We have not answered yet.".into()),
            reason: String::new(),
            reason_error: Some("Say what you need it for; our staff read it.".into()),
        };
        vec![
            Self { form: refused, ..full.clone() },
            Self {
                hours: empty("hour"),
                days: empty("day"),
                plan: None,
                offers: Vec::new(),
                wishes: Vec::new(),
                ..full.clone()
            },
            full,
        ]
    }
}
