//! Who can change an app, and giving it to somebody else: the giver asks with a proof of a moment
//! ago, the other side accepts on a page of its own.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::id::{AppId, TeamId, UserId};
use domain::mail::{Mail, MailKind};
use domain::revision::RevisionField;
use domain::team::{Owner, Team, TeamRole};
use domain::time::Timestamp;
use domain::transfer::{Receiver, Transfer};
use domain::user::{User, is_email_address};
use protocol::params::Params;
use serde_json::json;
use store::{
    Tx, apps, audit, changes, client_secrets, consents, mails, teams, transfers, users, webhooks,
};

use super::apps::{APPS_PER_DEVELOPER_MAX, held, path_of};
use super::teams::{destination, new_owner};
use super::{frame, teams as team_pages};
use crate::account::limits::Limits;
use crate::account::step_up::need_fresh_proof;
use crate::actor::{AppHolder, AppOwner, Developer, SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, duration_words, form_query};
use crate::flash::{Done, Told};
use crate::pages::views::{
    AppPerson, AppTab, AppTeam, OpenTransfer, Section, TakeApp, TeamChoice, TransferForm,
};
use crate::provider::{Provider, Shared};
use crate::view;

/// The value of `to` that is no team.
pub(super) const PERSON: &str = "person";

/// `?to=…&email=…` fills the form: the way back from proving who one is.
pub async fn show(
    State(provider): State<Shared>,
    owner: AppOwner,
    RawQuery(query): RawQuery,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let mut page = page(&provider, &owner.user, owner.app, read_form(&params)?).await?;
    page.layout = page.layout.with_flash(flash);
    view::page(&provider, &page)
}

fn read_form(params: &Params) -> Result<TransferForm, PageError> {
    let text = |name: &str| params.one(name).map(|value| value.unwrap_or_default().to_owned());
    let to = Some(text("to")?).filter(|to| !to.is_empty()).unwrap_or_else(|| PERSON.to_owned());
    Ok(TransferForm { to, email: text("email")?.trim().to_owned(), error: None })
}

async fn page(
    provider: &Provider,
    user: &SignedInUser,
    app: App,
    form: TransferForm,
) -> Result<AppTeam, PageError> {
    let (now, me, id) = (provider.now(), user.user.id, app.id);
    let read = async move |tx: &mut Tx<'_>| {
        let people = people(tx, &app).await?;
        let team = match app.team {
            Some(team) => teams::find(tx, team).await?,
            None => None,
        };
        let choices = teams::list_of_user(tx, me).await?;
        let transfer = transfers::find(tx, id).await?.filter(|one| one.is_open(now));
        let to = match transfer.as_ref().map(|one| &one.to) {
            Some(Receiver::Team(team)) => teams::find(tx, *team).await?.map(|team| team.name),
            Some(Receiver::Person(email)) => Some(email.clone()),
            None => None,
        };
        let role = teams::role_for(tx, &app, me).await?;
        Ok::<_, PageError>((app.clone(), people, team, choices, transfer.zip(to), role))
    };
    let (app, people, team, choices, transfer, role) = provider.store.db.read(read).await?;
    let choices = choices.into_iter().map(|(team, _)| team);
    Ok(AppTeam {
        layout: user.layout().in_section(Section::Apps),
        frame: frame::frame(&app, AppTab::Team),
        id: id.to_string(),
        people,
        teams: choices.filter(|one| app.team != Some(one.id)).map(choice).collect(),
        team: team.map(choice),
        may_transfer: role == Some(TeamRole::Owner),
        is_suspended: app.is_suspended(),
        transfer: transfer.map(|(transfer, to)| OpenTransfer {
            to,
            until: display::moment(now, transfer.expires_at),
        }),
        names_are_reviewed: provider.policy().reviewed.contains(&RevisionField::Name),
        form,
    })
}

fn choice(team: Team) -> TeamChoice {
    TeamChoice { id: team.id.to_string(), name: team.name }
}

async fn people(tx: &mut Tx<'_>, app: &App) -> Result<Vec<AppPerson>, PageError> {
    let ids = match app.belongs_to() {
        Owner::User(owner) => vec![(owner, TeamRole::Owner)],
        Owner::Team(team) => {
            let members = teams::list_members(tx, team).await?;
            members.into_iter().map(|member| (member.user_id, member.role)).collect()
        }
    };
    let mut people = Vec::with_capacity(ids.len());
    for (id, role) in ids {
        if let Some(user) = users::find(tx, id).await? {
            people.push(AppPerson {
                name: user.name,
                email: user.email,
                role: role.name(),
                answers: id == app.owner,
            });
        }
    }
    Ok(people)
}

/// What was typed, as a receiver.
enum Wanted {
    Right(Receiver),
    Wrong(&'static str),
}

fn receiver(form: &TransferForm, app: &App, giver: &User) -> Wanted {
    if form.to != PERSON {
        return match form.to.parse::<TeamId>() {
            Ok(team) if app.team == Some(team) => Wanted::Wrong("The app is this team’s already."),
            Ok(team) => Wanted::Right(Receiver::Team(team)),
            Err(_) => Wanted::Wrong("Choose who is to have the app."),
        };
    }
    if !is_email_address(&form.email) {
        return Wanted::Wrong("That is not an e-mail address.");
    }
    let receiver = Receiver::person(&form.email);
    match receiver == Receiver::person(&giver.email) && app.team.is_none() {
        true => Wanted::Wrong("The app is yours already."),
        false => Wanted::Right(receiver),
    }
}

/// The giver asks.
pub async fn ask(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppHolder { user, app }: AppHolder,
    form: SignedForm,
) -> Result<Response, PageError> {
    let mut typed = read_form(&form.params)?;
    let query = form_query(&[("to", &typed.to), ("email", &typed.email)]);
    let tab = AppTab::Team.path(&app.id.to_string());
    need_fresh_proof(&provider, &user, &format!("{tab}?{query}")).await?;
    let to = match receiver(&typed, &app, &user.user) {
        Wanted::Right(to) => to,
        Wanted::Wrong(error) => {
            typed.error = Some(error.to_owned());
            return view::page_again(&provider, &page(&provider, &user, app, typed).await?);
        }
    };
    let asking = Asking {
        transfer: Transfer::new(app.id, user.user.id, to, provider.now()),
        giver: user.user.name.clone(),
        address,
        sends_mail: provider.policy().accounts.sends_mail,
    };
    let write = async move |tx: &mut Tx<'_>| asking.write(tx).await;
    match provider.store.db.write(write).await?? {
        None => Ok(Done::TransferAsked.redirect(&tab).into_response()),
        error => {
            typed.error = error;
            view::page_again(&provider, &page(&provider, &user, app, typed).await?)
        }
    }
}

struct Asking {
    transfer: Transfer,
    giver: String,
    address: std::net::IpAddr,
    sends_mail: bool,
}

impl Asking {
    /// What is wrong beside the form.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<Result<Option<String>, PageError>, PageError> {
        let Transfer { app_id, asked_by, to, asked_at: now, .. } = &self.transfer;
        let app = match held(tx, *app_id, *asked_by).await? {
            Ok(app) => app,
            Err(refused) => return Ok(Err(refused)),
        };
        if app.is_suspended() {
            let text = "Staff suspended the app. It stays where it is until they let it go on.";
            return Ok(Err(PageError::Conflict(text.into())));
        }
        let told = match to {
            Receiver::Team(team) => {
                if teams::role_of(tx, *team, *asked_by).await?.is_none() {
                    return Ok(Ok(Some("Choose a team that you are in.".to_owned())));
                }
                let members = teams::list_members(tx, *team).await?;
                let owners = members.into_iter().filter(|one| one.role == TeamRole::Owner);
                owners.map(|owner| owner.user_id).filter(|id| id != asked_by).collect()
            }
            Receiver::Person(email) => {
                // Counted alike whether or not there is an account (attack X2).
                let limits = Limits::of_mail(email, self.address);
                if let Some(wait) = limits.count(tx, *now).await? {
                    return Ok(Ok(Some(format!("Too many. Wait {}.", duration_words(wait)))));
                }
                let known = users::find_by_email(tx, email).await?;
                known.map(|user| user.id).into_iter().collect::<Vec<_>>()
            }
        };
        transfers::ask(tx, &self.transfer).await?;
        let kind = MailKind::AppTransfer {
            app: app.name.clone(),
            app_id: app.id,
            giver: self.giver.clone(),
        };
        for user in told.into_iter().filter(|_| self.sends_mail) {
            mails::queue(tx, &Mail::to_user(user, kind.clone(), *now)).await?;
        }
        let to = match to {
            Receiver::Team(team) => json!({ "team": team }),
            Receiver::Person(email) => json!({ "email": email }),
        };
        let event = AuditEvent::new(*now, AuditKind::AppTransferAsked, AuditActor::User(*asked_by))
            .app(app.id)
            .address(self.address)
            .detail(json!({ "to": to }));
        audit::record(tx, &event).await?;
        Ok(Ok(None))
    }
}

/// The giver takes it back.
pub async fn take_back(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppHolder { user, app }: AppHolder,
    _form: SignedForm,
) -> Result<Response, PageError> {
    let (id, by, now) = (app.id, user.user.id, provider.now());
    let event = ended(id, by, "taken back", now).address(address);
    let write = async move |tx: &mut Tx<'_>| {
        if let Err(refused) = held(tx, id, by).await? {
            return Ok(Err(refused));
        }
        if transfers::delete(tx, id).await? {
            audit::record(tx, &event).await?;
        }
        Ok::<_, PageError>(Ok(()))
    };
    provider.store.db.write(write).await??;
    Ok(Done::TransferEnded.redirect(&AppTab::Team.path(&id.to_string())).into_response())
}

fn ended(app: AppId, by: UserId, why: &'static str, now: Timestamp) -> AuditEvent {
    AuditEvent::new(now, AuditKind::AppTransferEnded, AuditActor::User(by))
        .app(app)
        .detail(json!({ "why": why }))
}

/// What waits for `user`. To everybody else there is nothing (attack A2), nor is there when whoever
/// asked could not give the app away any more.
async fn offered(
    tx: &mut Tx<'_>,
    id: AppId,
    (user, sends_mail): (&User, bool),
    now: Timestamp,
) -> Result<Option<(Transfer, App)>, PageError> {
    let transfer = transfers::find(tx, id).await?.filter(|transfer| transfer.is_open(now));
    let Some((transfer, app)) = transfer.zip(apps::find(tx, id).await?) else { return Ok(None) };
    let own = teams::list_of_user(tx, user.id).await?;
    let owners = own.into_iter().filter(|(_, role)| *role == TeamRole::Owner);
    let owns: Vec<_> = owners.map(|(team, _)| team.id).collect();
    let giver = teams::role_for(tx, &app, transfer.asked_by).await?;
    let is_open = giver == Some(TeamRole::Owner) && transfer.to.is(user, &owns, sends_mail);
    Ok(is_open.then_some((transfer, app)))
}

/// The page on which the other side answers.
pub async fn offer(
    State(provider): State<Shared>,
    Developer(user): Developer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id: AppId = id.parse().map_err(|_| PageError::NotFound)?;
    let (person, now) = (user.user.clone(), provider.now());
    let sends_mail = provider.policy().accounts.sends_mail;
    let read = async move |tx: &mut Tx<'_>| {
        let Some((transfer, app)) = offered(tx, id, (&person, sends_mail), now).await? else {
            return Ok(None);
        };
        let giver = users::find(tx, transfer.asked_by).await?;
        let (to_team, teams) = match transfer.to {
            Receiver::Team(team) => (teams::find(tx, team).await?, Vec::new()),
            Receiver::Person(_) => (None, teams::list_of_user(tx, person.id).await?),
        };
        let counts = (
            consents::count_given_to(tx, id).await?,
            client_secrets::list_of_app(tx, id).await?.len() as u64,
            webhooks::list_of_app(tx, id).await?.len() as u64,
        );
        Ok::<_, PageError>(Some((transfer, app, giver, to_team, teams, counts)))
    };
    let found = provider.store.db.read(read).await?.ok_or(PageError::NotFound)?;
    let (transfer, app, giver, to_team, teams, counts) = found;
    let (user_count, secret_count, webhook_count) = counts;
    let page = TakeApp {
        layout: user.layout().in_section(Section::Apps),
        id: id.to_string(),
        name: app.name.clone(),
        kind: display::app_kind(app.kind),
        status: display::app_status(&app),
        giver: giver.map(|giver| giver.name).unwrap_or_default(),
        publisher: app.publisher.clone(),
        own_name: user.user.name.clone(),
        to_team: to_team.map(|team| team.name),
        teams: teams.into_iter().map(|(team, _)| choice(team)).collect(),
        user_count,
        secret_count,
        has_keys: app.keys.is_some(),
        webhook_count,
        until: display::moment(now, transfer.expires_at),
        loses_review: app.is_live() && provider.policy().reviewed.contains(&RevisionField::Name),
    };
    view::page(&provider, &page)
}

/// The other side answers.
pub async fn answer(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    Developer(user): Developer,
    Path(id): Path<String>,
    form: SignedForm,
) -> Result<Response, PageError> {
    let id: AppId = id.parse().map_err(|_| PageError::NotFound)?;
    let into = form.params.one("into")?.unwrap_or_default().parse::<TeamId>().ok();
    let accepts = form.params.one("decision")? == Some("accept");
    let taking = Taking {
        id,
        user: user.user,
        into,
        reviewed: provider.policy().reviewed.clone(),
        sends_mail: provider.policy().accounts.sends_mail,
        address,
        now: provider.now(),
    };
    let write = async move |tx: &mut Tx<'_>| match accepts {
        true => taking.accept(tx).await,
        false => taking.decline(tx).await,
    };
    provider.store.db.write(write).await??;
    Ok(match accepts {
        true => Done::AppTaken.redirect(&path_of(id)),
        false => Done::TransferDeclined.redirect("/teams"),
    }
    .into_response())
}

struct Taking {
    id: AppId,
    user: User,
    /// A team of the person who takes it, where it was offered to the person.
    into: Option<TeamId>,
    reviewed: Vec<RevisionField>,
    sends_mail: bool,
    address: std::net::IpAddr,
    now: Timestamp,
}

impl Taking {
    async fn offered(&self, tx: &mut Tx<'_>) -> Result<Option<(Transfer, App)>, PageError> {
        offered(tx, self.id, (&self.user, self.sends_mail), self.now).await
    }

    async fn accept(&self, tx: &mut Tx<'_>) -> Result<Result<(), PageError>, PageError> {
        let Some((transfer, app)) = self.offered(tx).await? else {
            return Ok(Err(PageError::NotFound));
        };
        let team = match transfer.to {
            Receiver::Team(team) => Some(team),
            Receiver::Person(_) => self.into,
        };
        let Some(team) = destination(tx, self.user.id, team).await? else {
            return Ok(Err(PageError::NotFound));
        };
        let to = new_owner(self.user.id, &self.user.name, team.as_ref());
        let before = (app.publisher.clone(), app.owner, app.team);
        let app = match app.hand_over(to, &self.reviewed, self.now) {
            Ok(app) => app,
            Err(error) => return Ok(Err(team_pages::conflict(error))),
        };
        if apps::count_of(tx, app.belongs_to()).await? >= APPS_PER_DEVELOPER_MAX as u64 {
            let text = "There are as many apps as there may be. Delete one first.";
            return Ok(Err(PageError::Conflict(text.into())));
        }
        apps::save(tx, &app).await?;
        apps::save_owner(tx, &app).await?;
        // They lead to servers of whoever gave it.
        for endpoint in webhooks::list_of_app(tx, self.id).await? {
            webhooks::save(tx, &endpoint.pause()).await?;
        }
        transfers::delete(tx, self.id).await?;
        changes::record(tx, Change::App(self.id)).await?;
        let actor = AuditActor::User(self.user.id);
        let event = AuditEvent::new(self.now, AuditKind::AppTransferred, actor)
            .app(self.id)
            .address(self.address)
            .detail(json!({
                "asked_by": transfer.asked_by,
                "before": { "publisher": before.0, "owner": before.1, "team": before.2 },
                "after": { "publisher": app.publisher, "owner": app.owner, "team": app.team },
            }));
        audit::record(tx, &event).await?;
        Ok(Ok(()))
    }

    async fn decline(&self, tx: &mut Tx<'_>) -> Result<Result<(), PageError>, PageError> {
        if self.offered(tx).await?.is_none() {
            return Ok(Err(PageError::NotFound));
        }
        transfers::delete(tx, self.id).await?;
        let event = ended(self.id, self.user.id, "declined", self.now).address(self.address);
        audit::record(tx, &event).await?;
        Ok(Ok(()))
    }
}
