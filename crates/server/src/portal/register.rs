//! Register an app: one question at a time, or all on one page. The answers to other questions
//! travel as hidden fields, so that nothing is stored before the last and nothing that was typed is
//! lost.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::TeamId;
use protocol::params::Params;
use protocol::scope::ScopeSet;
use serde::Serialize;
use serde_json::json;
use store::{Tx, app_logos, apps, audit, client_secrets, teams};

use super::apps::{APPS_PER_DEVELOPER_MAX, path_of, secret_page};
use super::form::{self, Draft, parse_kind};
use super::logos;
use super::registration::{self, Standing};
use super::teams::{destination, new_owner};
use crate::actor::{Developer, SignedInUser, SignedUpload};
use crate::address::ClientAddress;
use crate::app_news;
use crate::error::PageError;
use crate::flash::Done;
use crate::logo::{Drawn, LogoError};
use crate::pages::views::{
    AppForm, AppFormErrors, LineError, NewApp, STANDARD, Section, Step, TeamChoice,
};
use crate::provider::{Provider, Shared};
use crate::view;

/// The value of `owner` that is no team.
const ME: &str = "me";

/// `?wire=NAME` chooses the wire format, for links from where its developers come from; `?owner=ID`
/// the team; `?view=all` shows all questions at once.
pub async fn new(
    State(provider): State<Shared>,
    Developer(user): Developer,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    check_may_register(&provider, &user)?;
    let scopes = form::offered_scopes(&provider.policy(), &ScopeSet::new());
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let wire = params.one("wire")?.unwrap_or(STANDARD).to_owned();
    let step = (params.one("view")? != Some("all")).then_some(Step::Kind);
    let typed = Typed {
        form: AppForm { scopes, wire, ..AppForm::blank() },
        owner: params.one("owner")?.unwrap_or(ME).to_owned(),
        alike_seen: String::new(),
    };
    let page = Asked::default().page(&provider, &user, typed, step).await?;
    view::page(&provider, &page)
}

fn check_may_register(provider: &Provider, user: &SignedInUser) -> Result<(), PageError> {
    if registration::may_register(&provider.policy(), &user.user) {
        return Ok(());
    }
    Err(PageError::Forbidden("New apps are registered by our staff. Ask them for one.".into()))
}

/// What was typed, right or wrong.
struct Typed {
    form: AppForm,
    /// `me` or a team's id.
    owner: String,
    /// The name of which the developer was told that another reads like it.
    alike_seen: String,
}

impl Typed {
    fn read(params: &Params, provider: &Provider) -> Result<Self, PageError> {
        let offered = form::offered_scopes(&provider.policy(), &ScopeSet::new());
        let text = |name: &str| params.one(name).map(|value| value.unwrap_or_default().to_owned());
        let owner = Some(text("owner")?).filter(|owner| !owner.is_empty());
        Ok(Self {
            form: form::read(params, offered)?,
            owner: owner.unwrap_or_else(|| ME.to_owned()),
            alike_seen: text("alike_seen")?,
        })
    }
}

/// What a page says about the answers.
#[derive(Default)]
struct Asked {
    errors: AppFormErrors,
    logo_error: Option<String>,
    /// The live app whose name the new one reads like.
    alike: Option<String>,
}

impl Asked {
    async fn page(
        self,
        provider: &Provider,
        user: &SignedInUser,
        typed: Typed,
        step: Option<Step>,
    ) -> Result<NewApp, PageError> {
        let (policy, id) = (provider.policy(), user.user.id);
        let list =
            async move |tx: &mut Tx<'_>| Ok::<_, PageError>(teams::list_of_user(tx, id).await?);
        let own = provider.store.db.read(list).await?;
        let choice = |(team, _): (domain::team::Team, _)| TeamChoice {
            id: team.id.to_string(),
            name: team.name,
        };
        let dialects = form::offered_dialects(&policy);
        let steps = steps(&typed.form, !dialects.is_empty());
        let number = |step| steps.iter().position(|one| *one == step).unwrap_or_default() + 1;
        Ok(NewApp {
            layout: user.layout().in_section(Section::Apps),
            number: step.map_or(0, number) as u64,
            of: steps.len() as u64,
            step,
            form: typed.form,
            errors: self.errors,
            needs_review: Standing::of(&policy, &user.user) == Standing::Reviewed,
            dialects,
            owner: typed.owner,
            own_name: user.user.name.clone(),
            teams: own.into_iter().map(choice).collect(),
            // Whoever sends this name again has been told.
            alike_seen: match &self.alike {
                Some(_) => None,
                None => Some(typed.alike_seen),
            },
            alike: self.alike,
            logo_error: self.logo_error,
        })
    }
}

/// The questions that there are for these answers, in order.
fn steps(form: &AppForm, has_dialects: bool) -> Vec<Step> {
    let is_asked = |step: &Step| match step {
        Step::Format => has_dialects,
        Step::Redirects => form.kind.has_redirects(),
        _ => true,
    };
    Step::ALL.into_iter().filter(is_asked).collect()
}

/// A button of the form was pressed: `go` says which.
pub async fn submit(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Developer(user): Developer,
    upload: SignedUpload,
) -> Result<Response, PageError> {
    check_may_register(&provider, &user)?;
    let params = &upload.params;
    let mut typed = Typed::read(params, &provider)?;
    let step = params.one("step")?.and_then(Step::from_name);
    let turn_to = match (params.one("go")?.unwrap_or("register"), step) {
        ("all", _) => Some(None),
        ("steps", _) => Some(Some(Step::Kind)),
        ("back", Some(step)) => Some(Some(beside(&typed.form, &provider, step, false))),
        _ => None,
    };
    if let Some(step) = turn_to {
        let page = Asked::default().page(&provider, &user, typed, step).await?;
        return view::page(&provider, &page);
    }
    let kind = params.one("kind")?.unwrap_or_default();
    let (policy, ours) = (provider.policy(), provider.pages.brand_name());
    let checked = form::check(&mut typed.form, kind, &policy, ours);
    let alike = match step {
        None | Some(Step::About | Step::Check) => alike(&provider, &typed).await?,
        Some(_) => None,
    };
    if let (Some("next"), Some(step)) = (params.one("go")?, step) {
        let errors = checked.err().map(|errors| step.errors(*errors)).unwrap_or_default();
        let is_right = form::is_clean(&errors) && alike.is_none();
        let to = if is_right { beside(&typed.form, &provider, step, true) } else { step };
        let asked = Asked { errors, alike, ..Asked::default() };
        let page = asked.page(&provider, &user, typed, Some(to)).await?;
        return if is_right {
            view::page(&provider, &page)
        } else {
            view::page_again(&provider, &page)
        };
    }
    let (drawn, logo_error) = draw(&provider, upload.file).await?;
    let (draft, errors) = match checked {
        Ok(draft) => (Some(draft), AppFormErrors::default()),
        Err(errors) => (None, *errors),
    };
    match draft.filter(|_| logo_error.is_none() && alike.is_none()) {
        Some(draft) => {
            let owner = typed.owner.parse().ok();
            create(&provider, user, (draft, owner, drawn), address).await
        }
        None => {
            // One question at a time: the first that has to be asked again.
            let wrong = step.map(|step| match alike {
                Some(_) => Step::About,
                None => Step::of_errors(&errors).unwrap_or(step),
            });
            let asked = Asked { errors, logo_error, alike };
            view::page_again(&provider, &asked.page(&provider, &user, typed, wrong).await?)
        }
    }
}

/// The question before or after `step`.
fn beside(form: &AppForm, provider: &Provider, step: Step, after: bool) -> Step {
    let steps = steps(form, !provider.policy().dialects.is_empty());
    let mut found = steps.iter().copied();
    let beside = match after {
        true => found.find(|one| *one > step),
        false => found.rfind(|one| *one < step),
    };
    beside.unwrap_or(step)
}

async fn draw(
    provider: &Provider,
    file: Option<bytes::Bytes>,
) -> Result<(Option<Drawn>, Option<String>), PageError> {
    let Some(file) = file else { return Ok((None, None)) };
    match provider.logos.draw(file).await {
        Ok(drawn) => Ok((Some(drawn), None)),
        Err(LogoError::Busy) => Err(PageError::Busy),
        Err(error) => Ok((None, Some(error.to_string()))),
    }
}

/// The live app whose name this one reads like to a hurried reader, unless the developer was told
/// already.
async fn alike(provider: &Provider, typed: &Typed) -> Result<Option<String>, PageError> {
    let name = typed.form.name.trim().to_owned();
    if name.is_empty() || name == typed.alike_seen {
        return Ok(None);
    }
    find_alike(provider, name).await
}

async fn find_alike(provider: &Provider, name: String) -> Result<Option<String>, PageError> {
    let list = async move |tx: &mut Tx<'_>| apps::list_live_reading_like(tx, &[&name]).await;
    let found = provider.store.db.read(list).await?;
    Ok(found.into_iter().next().map(|(_, name)| name))
}

/// Register an app. A confidential one gets its first secret in the answer.
async fn create(
    provider: &Provider,
    user: SignedInUser,
    (draft, team, drawn): (Draft, Option<TeamId>, Option<Drawn>),
    address: std::net::IpAddr,
) -> Result<Response, PageError> {
    let (now, entropy) = (provider.now(), &*provider.entropy);
    let policy = provider.policy();
    let standing = Standing::of(&policy, &user.user);
    let app = registration::new_app(draft, &user.user, standing, entropy, now);
    let app = logos::with_logo(app, drawn.as_ref());
    let secret = app
        .kind
        .is_confidential()
        .then(|| registration::new_secret(app.id, &provider.keyring(), entropy, now));
    let row = secret.as_ref().map(|secret| secret.row.clone());
    let event = AuditEvent::new(now, AuditKind::AppCreated, AuditActor::User(user.user.id))
        .app(app.id)
        .address(address)
        .detail(json!({ "name": app.name, "client_id": app.client_id, "team": team }));
    let (written, name) = (app.clone(), user.user.name.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let Some(team) = destination(tx, written.owner, team).await? else {
            return Ok(Err(PageError::NotFound));
        };
        let owner = new_owner(written.owner, &name, team.as_ref());
        let publisher = owner.publisher.to_owned();
        let app = App { team: owner.team, publisher, ..written.clone() };
        if apps::count_of(tx, app.belongs_to()).await? >= APPS_PER_DEVELOPER_MAX as u64 {
            let text = "There are as many apps as there may be. Delete one first.";
            return Ok(Err(PageError::Conflict(text.into())));
        }
        if !apps::insert(tx, &app).await? {
            return Err(PageError::Internal("a random client id came twice".to_owned()));
        }
        if let Some((drawn, logo)) = drawn.as_ref().zip(app.logo) {
            app_logos::insert(tx, logo, app.id, drawn.png()).await?;
        }
        if let Some(row) = &row {
            client_secrets::insert(tx, row).await?;
        }
        audit::record(tx, &event).await?;
        if app.awaits_review() {
            app_news::submitted(tx, &app, &policy.review_mail, now).await?;
        }
        Ok(Ok(()))
    };
    provider.store.db.write(write).await??;
    match secret {
        Some(secret) => secret_page(provider, &user, app, secret, (true, None)),
        None => Ok(Done::AppCreated.redirect(&path_of(app.id)).into_response()),
    }
}

/// What is wrong so far, for the script of the page.
#[derive(Serialize)]
pub struct Checked {
    name: Option<String>,
    redirect_uris: Option<String>,
    redirect_lines: Vec<LineError>,
}

/// `GET /apps/new/check?kind=…&name=…&redirect_uris=…`: what is left out is not looked at.
pub async fn check(
    State(provider): State<Shared>,
    Developer(_user): Developer,
    RawQuery(query): RawQuery,
) -> Result<Json<Checked>, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let mut checked = Checked { name: None, redirect_uris: None, redirect_lines: Vec::new() };
    if let Some(name) = params.one("name")?.map(str::trim).filter(|name| !name.is_empty()) {
        let ours = provider.pages.brand_name();
        checked.name =
            form::name_error(name).map(str::to_owned).or_else(|| form::imitation_error(name, ours));
        if checked.name.is_none() {
            let alike = find_alike(&provider, name.to_owned()).await?;
            checked.name = alike.map(|other| {
                format!("This reads like “{other}”, which is live. Reviewers will ask about it.")
            });
        }
    }
    let kind = params.one("kind")?.and_then(parse_kind);
    let uris = params.one("redirect_uris")?.filter(|text| !text.trim().is_empty());
    if let (Some(kind), Some(uris)) = (kind, uris) {
        let mut errors = AppFormErrors::default();
        form::check_redirect_uris(kind, uris, &mut errors);
        checked.redirect_uris = errors.redirect_uris;
        checked.redirect_lines = errors.redirect_lines;
    }
    Ok(Json(checked))
}
