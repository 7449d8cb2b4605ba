//! Refreshing in the wild: lost answers, parallel calls, a thief (attack T1).

use futures_util::future::join_all;
use reqwest::StatusCode;
use testkit::Demo;

use crate::BINARY;

#[tokio::test]
async fn twelve_parallel_refreshes_all_succeed_and_none_is_theft() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let tokens = bot.connect(&alice, "orders.read").await;
    let refresh = tokens.refresh.unwrap();
    let answers = join_all((0..12).map(|_| bot.refresh(&refresh))).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    // All answers are the same generation: any of them goes on.
    for answer in answers {
        let next = answer.tokens().refresh.unwrap();
        assert_eq!(bot.refresh(&next).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_refresh_token_two_generations_old_is_theft_and_ends_the_grant() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let first = bot.connect(&alice, "orders.read").await.refresh.unwrap();
    let second = bot.refresh(&first).await.tokens().refresh.unwrap();
    let third = bot.refresh(&second).await.tokens();

    let stolen = bot.refresh(&first).await;
    assert_eq!((stolen.status, stolen.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    let victim = bot.refresh(third.refresh.as_deref().unwrap()).await;
    assert_eq!(victim.error(), "invalid_grant", "the grant is revoked for both");
}

#[tokio::test]
async fn a_refresh_asks_for_less_or_is_refused_when_it_asks_for_more() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let bot = demo.exchange.app("trading-bot");
    let refresh = bot.connect(&alice, "orders.read orders.delete").await.refresh.unwrap();
    let ask = |scope: &'static str, token: String| {
        let bot = bot.clone();
        async move {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.as_str()),
                ("scope", scope),
            ];
            bot.token(&form).await
        }
    };
    let raised = ask("orders.read orders.create", refresh.clone()).await;
    assert_eq!(raised.error(), "invalid_scope", "attack T2");
    let less = ask("orders.read", refresh).await.tokens();
    assert_eq!(less.scope, "orders.read");
    let whole = bot.refresh(less.refresh.as_deref().unwrap()).await.tokens();
    assert_eq!(whole.scope, "orders.delete orders.read", "the grant itself was not narrowed");
}
