//! Which path is answered by whom.

use std::rc::Rc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use perfhost_strategy::plan::Operation;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::worker::Worker;
use crate::{api, models, pipeline};

/// What `/v1` serves, for those who ask for something else.
const SERVED: &str = "served are POST /v1/chat/completions, POST /v1/completions, POST /v1/embeddings, GET /v1/models \
                      and GET /v1/models/{id}";

/// Answers a request, whatever it asks for.
pub(crate) async fn route(worker: &Rc<Worker>, request: Request<Incoming>) -> Response<Answer> {
    let operation = match request.uri().path() {
        "/v1/chat/completions" => Operation::Chat,
        "/v1/completions" => Operation::Completion,
        "/v1/embeddings" => Operation::Embedding,
        path if is_below(path, "/v1/models") => {
            return match allowed(&request, &Method::GET, "GET") {
                Ok(()) => models::list(worker, &request).unwrap_or_else(failed),
                Err(failure) => failed(failure),
            };
        }
        path if is_below(path, "/v1") => {
            let (method, path) = (request.method().to_string(), path.to_owned());
            return failed(Failure::NotFound { method, path, served: SERVED });
        }
        _ => return api::route(worker, request).await,
    };
    match allowed(&request, &Method::POST, "POST") {
        Ok(()) => pipeline::serve(worker, operation, request).await,
        Err(failure) => failed(failure),
    }
}

fn allowed(request: &Request<Incoming>, method: &Method, name: &'static str) -> Result<(), Failure> {
    match request.method() == method {
        true => Ok(()),
        false => Err(Failure::MethodNotAllowed {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            allowed: name,
        }),
    }
}

fn failed(failure: Failure) -> Response<Answer> {
    failure.into_response().map(Answer::whole)
}

/// Whether `path` is `parent` or lies below it.
fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
