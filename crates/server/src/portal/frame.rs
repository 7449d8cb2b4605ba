//! What stands above every page about one app, filled from its row.

use domain::app::App;

use crate::display;
use crate::pages::views::{AppFrame, AppTab};

/// The frame of the page `current` about `app`.
pub fn frame(app: &App, current: AppTab) -> AppFrame {
    let what = (display::app_kind(app.kind), display::app_status(app));
    let logo_url = app.latest_revision().logo.map(display::logo_path);
    let frame = AppFrame::new((&app.id.to_string(), &app.name), what, AppTab::ALL, current);
    AppFrame { logo_url, ..frame }
}
