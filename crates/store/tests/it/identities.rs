//! A person of another system is one user here, whoever else comes.

use store::testing::TestDb;
use store::{DbError, Tx, identities, on_both, users};

use crate::support::{LATER, NOW, entropy, tx, user};

on_both! {
    async fn a_subject_of_an_issuer_is_one_user_and_stays_it(database: TestDb) {
        let db = database.open().await;
        let random = entropy(1);
        let (zoe, ada) = (user(&*random, "zoe@example.com"), user(&*random, "ada@example.com"));
        let (zoe_id, ada_id) = (zoe.id, ada.id);
        let (here, there) = ("https://login.example", "https://other.example");
        let long = "ü".repeat(5_000);
        let found = tx!(db, async move |tx| {
            assert!(users::insert(tx, &zoe).await?);
            assert!(users::insert(tx, &ada).await?);
            let first = identities::insert(tx, here, "1", zoe_id, NOW).await?;
            let stolen = identities::insert(tx, here, "1", ada_id, NOW).await?;
            let elsewhere = identities::insert(tx, there, "1", ada_id, NOW).await?;
            let second = identities::insert(tx, there, &long, zoe_id, NOW).await?;
            let issuers = identities::list_issuers_of(tx, zoe_id).await?;
            identities::touch(tx, there, &long, LATER).await?;
            let touched = identities::list_issuers_of(tx, zoe_id).await?;
            let who = (
                identities::find(tx, here, "1").await?,
                identities::find(tx, there, "1").await?,
                identities::find(tx, there, &long).await?,
                identities::find(tx, here, "2").await?,
                identities::find(tx, here, "").await?,
            );
            ((first, stolen, elsewhere, second), issuers, touched, who)
        });
        assert_eq!(found.0, (true, false, true, true));
        assert_eq!((found.1, found.2), (vec![here.into(), there.into()], vec![there.into(), here.into()]));
        assert_eq!(found.3, (Some(zoe_id), Some(ada_id), Some(zoe_id), None, None));
    }
}
