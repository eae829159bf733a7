//! `GET /v1/models` and `GET /v1/models/{id}`: what all providers offer together, in the shape of OpenAI's list.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use perfhost_upstream::FleetView;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::api::query::decoded;
use crate::caching::response;
use crate::failure::Failure;
use crate::worker::Worker;

pub(crate) fn list(worker: &Rc<Worker>, request: &Request<Incoming>) -> Result<Response<Answer>, Failure> {
    worker.services().access.check_models(request.headers())?;
    // When a model was made is not known for most providers; all of them are as old as this process.
    let created = worker.services().started_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let view = worker.view();
    let rest = request.uri().path().strip_prefix("/v1/models").unwrap_or_default().trim_start_matches('/');
    let body = match rest {
        "" => json!({ "object": "list", "data": all(&view.fleet, created) }),
        id => {
            let id = decoded(id);
            all(&view.fleet, created)
                .into_iter()
                .find(|model| model["id"] == *id)
                .ok_or_else(|| Failure::NoSuchModel { model: id.into_owned() })?
        }
    };
    Ok(response(Bytes::from_static(b"application/json"), Answer::whole(body.to_string().into())))
}

fn all(fleet: &FleetView, created: u64) -> Vec<Value> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in fleet.names.targets.iter().filter(|target| !target.model.is_empty()) {
        owners.entry(&target.model).or_default().push(&target.provider);
    }
    let object = |(id, owners): (&str, Vec<&str>)| json!({ "id": id, "object": "model", "created": created, "owned_by": owners.join(",") });
    owners.into_iter().map(object).collect()
}
