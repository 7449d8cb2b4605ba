//! Server-sent events about the calling user's orders, for as long as the connection lives. Who
//! may keep it open is the gateway's business: it cuts the stream when the grant ends.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Exchange;
use super::book::{Order, UserId};
use super::error::ApiError;
use super::views;
use crate::assertion::Caller;

/// Answers at once with a comment, so that the caller sees the stream open; then an `order` event
/// for each change, and a comment every 15 seconds. `missed` says that a slow reader lost some.
pub(crate) async fn follow_orders(
    State(exchange): State<Exchange>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Subscribed before the answer: nothing that happens after it is missed.
    let events = exchange.events.subscribe();
    let user = exchange.as_user(caller, |_, user, _| Ok(user)).await?;
    let opened = stream::once(async { Ok(Event::default().comment("open")) });
    let changes = stream::unfold(events, move |events| next_event(events, user));
    Ok(Sse::new(opened.chain(changes)).keep_alive(KeepAlive::default()))
}

async fn next_event(
    mut events: Receiver<Arc<Order>>,
    user: UserId,
) -> Option<(Result<Event, Infallible>, Receiver<Arc<Order>>)> {
    loop {
        let event = match events.recv().await {
            Ok(order) if order.owner == user => {
                Event::default().event("order").data(views::order(&order).to_string())
            }
            Ok(_) => continue,
            Err(RecvError::Lagged(count)) => {
                Event::default().event("missed").data(count.to_string())
            }
            Err(RecvError::Closed) => return None,
        };
        return Some((Ok(event), events));
    }
}
