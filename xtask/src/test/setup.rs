//! Everything the tests need from outside cargo, and the variables that lead them to it.

use std::path::Path;

use super::clients::Places;
use super::tools::Tools;
use crate::postgres::Cluster;
use crate::process::{Outcome, progress};

/// Names a database that the developer brings; the set-up starts one when it is not there.
const DATABASE_URL: &str = "CONSENTRY_TEST_DATABASE_URL";

/// What is set up. Dropping it stops the database.
pub struct Setup {
    variables: Vec<(String, String)>,
    /// Held for its end.
    _cluster: Option<Cluster>,
}

impl Setup {
    /// The variables of the table in CONTRIBUTING.md.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }
}

pub fn prepare(root: &Path) -> Outcome<Setup> {
    let own_database = std::env::var_os(DATABASE_URL).filter(|url| !url.is_empty());
    let tools = Tools::find_or_install(own_database.is_none())?;
    let places = Places::new(root);
    let (cluster, python, node, go) = std::thread::scope(|scope| {
        let cluster = scope.spawn(|| tools.initdb.as_deref().map(Cluster::start).transpose());
        let python = scope.spawn(|| Ok((places.python(&tools)?, places.ccxt(&tools)?)));
        let node = scope.spawn(|| places.node_folder(&tools));
        let go = scope.spawn(|| {
            let bitport = places.go_client(&tools, "bitport")?;
            Ok((places.go_client(&tools, "xoauth2")?, bitport))
        });
        (joined(cluster), joined(python), joined(node), joined(go))
    });
    // Told together: who installs by hand wants the whole list.
    let errors: Vec<String> = [cluster.as_ref().err(), python.as_ref().err()]
        .into_iter()
        .chain([node.as_ref().err(), go.as_ref().err()])
        .flatten()
        .cloned()
        .collect();
    let (Ok(cluster), Ok((python, ccxt)), Ok(node), Ok((go, go_bitport))) =
        (cluster, python, node, go)
    else {
        return Err(errors.join("\n  "));
    };
    let url = match &cluster {
        Some(cluster) => cluster.url.clone(),
        None => own_database.unwrap_or_default().to_string_lossy().into_owned(),
    };
    progress(match &cluster {
        Some(_) => "set-up: a throw-away PostgreSQL, a browser and the real clients are ready",
        None => "set-up: your PostgreSQL, a browser and the real clients are ready",
    });
    let variable = |name: &str, path: &Path| {
        (format!("CONSENTRY_TEST_{name}"), path.to_string_lossy().into_owned())
    };
    let variables = vec![
        (DATABASE_URL.to_owned(), url),
        variable("CHROMIUM", &tools.chromium),
        variable("CHROMEDRIVER", &tools.chromedriver),
        variable("STRACE", &tools.strace),
        variable("PYTHON", &python),
        variable("PYTHON_CCXT", &ccxt),
        variable("NODE", &tools.node),
        variable("NODE_DIR", &node),
        variable("GO_CLIENT", &go),
        variable("GO_BITPORT", &go_bitport),
    ];
    Ok(Setup { variables, _cluster: cluster })
}

fn joined<T>(work: std::thread::ScopedJoinHandle<'_, Outcome<T>>) -> Outcome<T> {
    work.join().unwrap_or_else(|_| Err("a part of the set-up broke off".into()))
}
