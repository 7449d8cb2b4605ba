//! `GET /`: what this provider is, and the ways on from here.

use axum::extract::State;
use axum::response::Response;
use domain::policy::DocsReaders;
use domain::user::Role;
use store::{apps, consents};

use crate::actor::Visitor;
use crate::error::PageError;
use crate::pages::views::Home;
use crate::provider::Shared;
use crate::view;

pub async fn show(State(provider): State<Shared>, visitor: Visitor) -> Result<Response, PageError> {
    let counts = match &visitor.signed_in {
        None => Counts::default(),
        Some(signed_in) => {
            let (user, is_staff) = (signed_in.user.id, signed_in.user.has_role(Role::Reviewer));
            let read = async move |tx: &mut store::Tx<'_>| {
                Ok::<_, PageError>(Counts {
                    connected: consents::list_given_by(tx, user).await?.len(),
                    apps: apps::count_for(tx, user).await?,
                    in_review: if is_staff { apps::count_for_review(tx).await? } else { 0 },
                })
            };
            provider.store.db.read(read).await?
        }
    };
    let is_open = provider.policy().docs == DocsReaders::Everyone;
    let home = Home {
        layout: visitor.layout(),
        connected_count: counts.connected as u64,
        app_count: counts.apps,
        review_count: counts.in_review,
        docs_url: is_open.then(|| "/docs".to_owned()),
    };
    Ok(visitor.remember(&provider, view::page(&provider, &home)?))
}

#[derive(Default)]
struct Counts {
    connected: usize,
    apps: u64,
    in_review: u64,
}
