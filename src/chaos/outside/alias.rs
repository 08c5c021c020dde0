//! Rollouts by MLflow's registry: an alias of a registered model is turned to
//! another version (MLflow's REST API, `registered-models/alias`). What
//! follows the alias is the service's own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::proven;
use crate::{
    api_client::{self, PATIENCE},
    chaos::{
        driver::{ChaosError, Proof, evidence},
        look::{Look, Timing},
        undo::Undo,
    },
    clock::Clock,
    journal::event::Evidence,
    scenario::outside::MlflowAlias,
    units::{Seen, Version},
};

const PATH: &str = "/api/2.0/mlflow/registered-models/alias";

/// An alias that is turned.
#[derive(Debug)]
pub struct Turned {
    http: reqwest::Client,
    alias: MlflowAlias,
    /// What it pointed to. None: to nothing.
    from: Option<Version>,
    to: Version,
    timing: Timing,
}

impl Turned {
    /// Looks what it points to now.
    pub(super) async fn prepare(alias: &MlflowAlias, to: &Version) -> Result<Self, ChaosError> {
        let http = client().map_err(ChaosError::Unfit)?;
        let from = version_of(&http, alias).await.map_err(ChaosError::Unfit)?;
        if from.as_ref() == Some(to) {
            return Err(ChaosError::Unfit(format!("the {alias} is {to} already: nothing would change")));
        }
        Ok(Self { http, alias: alias.clone(), from, to: to.clone(), timing: Timing::default() })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Alias { alias: self.alias.clone(), from: self.from.clone(), to: self.to.clone() }
    }

    pub(super) async fn inject(&mut self, clock: Clock) -> Result<(), ChaosError> {
        let asked = clock.now();
        turn(&self.http, &self.alias, Some(&self.to)).await.map_err(ChaosError::Unfit)?;
        self.timing.placed(Seen { not_before: asked, by: clock.now() });
        Ok(())
    }

    pub(super) async fn prove(&mut self, clock: Clock) -> Proof {
        let started = clock.now();
        let look = match version_of(&self.http, &self.alias).await {
            Ok(now) if now.as_ref() == Some(&self.to) => {
                Look::acts(vec![evidence("mlflow", format!("the {} is {}", self.alias, self.to))])
            }
            Ok(now) => Look::not(format!("the {} is {}", self.alias, shown(now.as_ref())), vec![]),
            Err(why) => Look::not(why, vec![]),
        };
        proven(&mut self.timing, look, started, clock)
    }
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| "not set".to_owned(), ToString::to_string)
}

/// Turns it back, if nobody else has turned it since.
pub(in crate::chaos) async fn take_back(
    alias: &MlflowAlias,
    from: Option<&Version>,
    to: &Version,
) -> Result<Vec<Evidence>, ChaosError> {
    let http = client().map_err(ChaosError::Unfit)?;
    let now = version_of(&http, alias).await.map_err(ChaosError::Unfit)?;
    if now.as_ref() != Some(to) {
        let what = format!("the {alias} is {} now, by somebody else", shown(now.as_ref()));
        return Ok(vec![evidence("mlflow", what)]);
    }
    turn(&http, alias, from).await.map_err(ChaosError::Unfit)?;
    Ok(vec![evidence("mlflow", format!("the {alias} is {} again", shown(from)))])
}

/// Points the alias to a version, or takes it away. The error is in words.
async fn turn(http: &reqwest::Client, alias: &MlflowAlias, to: Option<&Version>) -> Result<(), String> {
    let mut body = json!({ "name": alias.model, "alias": alias.alias });
    let method = match to {
        Some(version) => {
            body["version"] = json!(version.0);
            Method::POST
        }
        None => Method::DELETE,
    };
    let request = http.request(method, format!("{}{PATH}", alias.at)).json(&body);
    answer(alias, request).await.map(drop).map_err(|(_, why)| why)
}

/// What the alias points to now. None: there is no such alias.
pub(crate) async fn version_of(
    http: &reqwest::Client,
    alias: &MlflowAlias,
) -> Result<Option<Version>, String> {
    let asked = [("name", &alias.model), ("alias", &alias.alias)];
    let request = http.get(format!("{}{PATH}", alias.at)).query(&asked);
    match answer(alias, request).await {
        Ok(answer) => match answer.pointer("/model_version/version").and_then(Value::as_str) {
            Some(version) => Ok(Some(Version::new(version))),
            None => Err(format!("{}{PATH}: the answer names no version", alias.at)),
        },
        // A model that is not there is one that nobody can mean.
        Err((StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, why)) if why.contains("alias") => Ok(None),
        Err((_, why)) => Err(why),
    }
}

/// Asks registries.
pub(crate) fn client() -> Result<reqwest::Client, String> {
    api_client::http(PATIENCE)
}

async fn answer(
    alias: &MlflowAlias,
    request: reqwest::RequestBuilder,
) -> Result<Value, (StatusCode, String)> {
    let url = format!("{}{PATH}", alias.at);
    let failed = |error: reqwest::Error| (StatusCode::BAD_GATEWAY, format!("{url}: {error}"));
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let text = answer.text().await.map_err(failed)?;
    if !status.is_success() {
        return Err((status, format!("{url}: {status}: {}", text.trim())));
    }
    serde_json::from_str(&text).map_err(|error| (status, format!("{url}: {error}")))
}
