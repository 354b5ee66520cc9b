//! Kind `antigravity`: Google's Cloud Code API (upstream-protocol.md 1 to 5 and 9). Everything but the Gemini payload,
//! which is `wire::gemini`'s.
//!
//! The gateway sends the identity that the operator configures and invents none; `x-goog-user-project` is never sent,
//! since it turns good requests into 403 (section 2).

pub mod envelope;
pub mod models;
pub mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{IntoUrl, RequestBuilder, Url};
use serde::{Deserialize, Serialize};

use self::envelope::bearer;
use self::models::{ModelList, ModelsRequest, read_models};
use self::setup::discover::{SetupApi, discover_with};
use self::setup::{Metadata, Onboard, Operation, Setup, SetupRequest, read_load, read_operation};
use crate::base::secret::Secret;
use crate::config::model;
use crate::pool::failure::{Class, Failure};
use crate::upstream::classify::{Endpoint, details, next_host};
use crate::upstream::client::{self, Answer, HttpClients, Limits, Refused};
use crate::upstream::lenient;

/// One upstream of this kind, wired: its hosts, headers and connections.
pub struct AntigravityClient {
    http: Arc<reqwest::Client>,
    bases: Vec<String>,
    setup_bases: Vec<String>,
    /// Where prompts go, for each of `bases`.
    generate: Vec<Url>,
    headers: HeaderMap,
    user_agent: String,
    metadata: BTreeMap<String, String>,
    limits: Limits,
}

impl AntigravityClient {
    /// The client that `[upstreams.*]` describes.
    ///
    /// # Errors
    /// A header can't be sent, or the HTTP client can't be set up; a sentence for people.
    pub fn new(upstream: &model::Upstream, clients: &HttpClients) -> Result<Self, String> {
        let bases = hosts(&upstream.base_urls);
        let generate = |base: &String| {
            Url::parse(&method_url(base, "streamGenerateContent?alt=sse"))
                .map_err(|error| format!("expected an address in `base_urls`, found none: {error}"))
        };
        Ok(Self {
            http: clients.get(upstream)?,
            generate: bases.iter().map(generate).collect::<Result<_, _>>()?,
            bases,
            setup_bases: hosts(if upstream.setup_urls.is_empty() {
                &upstream.base_urls
            } else {
                &upstream.setup_urls
            }),
            headers: headers(upstream)?,
            user_agent: upstream.user_agent.clone(),
            metadata: upstream.metadata.clone(),
            limits: Limits {
                first_byte: upstream.first_byte_timeout,
                idle: upstream.idle_timeout,
            },
        })
    }

    /// How many hosts there are for generation; they are numbered from 0 in the order of `base_urls`.
    pub fn hosts(&self) -> usize {
        self.bases.len()
    }

    /// The envelope's `userAgent`.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// The connections, for calls to the OAuth endpoints of the same upstream.
    pub fn http(&self) -> &Arc<reqwest::Client> {
        &self.http
    }

    /// Posts an enveloped request to a host and gives the stream of its answer once the headers are there.
    ///
    /// # Errors
    /// The refusal's class; `upstream_garbage` for a 200 that is no event stream; `network`, `timeout`.
    pub async fn stream_generate(
        &self,
        host: usize,
        token: &Secret,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let url = self.generate.get(host).ok_or_else(|| no_host(host))?;
        let request = self
            .request(Method::POST, url.clone(), token)?
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
            .body(body);
        let response =
            client::send(request, Endpoint::Generate, self.limits, &[token.expose()]).await?;
        client::events(response, self.limits, &[token.expose()]).await
    }

    /// Posts a countTokens body (5.8) to a host and gives `totalTokens`.
    ///
    /// # Errors
    /// As [`Self::stream_generate`]; `upstream_garbage` for an answer without a count.
    pub async fn count_tokens(
        &self,
        host: usize,
        token: &Secret,
        body: Bytes,
    ) -> Result<u64, Failure> {
        let url = method_url(self.base(host)?, "countTokens");
        let request = self.request(Method::POST, &url, token)?.body(body);
        let response =
            client::send(request, Endpoint::Count, self.limits, &[token.expose()]).await?;
        read_count(&client::whole(response, self.limits).await?)
    }

    /// Lists models and quotas, with one more try without the project where that is refused with a 403 (4.1). Walks the
    /// hosts by itself.
    ///
    /// # Errors
    /// The last host's failure.
    pub async fn fetch_models(
        &self,
        token: &Secret,
        project: Option<&str>,
    ) -> Result<ModelList, Failure> {
        match self.list_models(token, project).await {
            Err(failure) if project.is_some() && failure.status == Some(403) => {
                self.list_models(token, None).await
            }
            other => other,
        }
    }

    async fn list_models(
        &self,
        token: &Secret,
        project: Option<&str>,
    ) -> Result<ModelList, Failure> {
        let call = Call {
            method: Method::POST,
            path: "v1internal:fetchAvailableModels",
            body: json(&ModelsRequest { project })?,
            endpoint: Endpoint::Models,
        };
        let answer = self.walk(&self.bases, token, &call).await;
        read_models(&answer.map_err(|refused| refused.failure)?)
    }

    /// Finds an account's tier and project, onboarding it where it never was (section 3). `configured` is
    /// `accounts.*.project`; what comes back has a project. Walks the hosts by itself; takes up to a minute.
    ///
    /// # Errors
    /// As [`discover_with`].
    pub async fn discover(
        &self,
        token: &Secret,
        configured: Option<&str>,
    ) -> Result<Setup, Failure> {
        let api = HttpSetup {
            client: self,
            token,
        };
        discover_with(&api, configured).await
    }

    fn base(&self, host: usize) -> Result<&str, Failure> {
        self.bases
            .get(host)
            .map(String::as_str)
            .ok_or_else(|| no_host(host))
    }

    fn request(
        &self,
        method: Method,
        url: impl IntoUrl,
        token: &Secret,
    ) -> Result<RequestBuilder, Failure> {
        let bearer =
            bearer(token.expose()).map_err(|error| Failure::new(Class::AuthExpired, error))?;
        let mut headers = self.headers.clone();
        headers.insert(AUTHORIZATION, bearer);
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(self.http.request(method, url).headers(headers))
    }

    /// Asks one host after the other until one answers or refuses for good.
    async fn walk(
        &self,
        bases: &[String],
        token: &Secret,
        call: &Call<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let mut last = Refused::from(Failure::new(Class::Network, "there is no host"));
        for base in bases {
            match self.ask(base, token, call).await {
                Ok(answer) => return Ok(answer),
                Err(refused) if next_host(&refused.failure) => last = refused,
                Err(refused) => return Err(refused),
            }
        }
        Err(last)
    }

    async fn ask(&self, base: &str, token: &Secret, call: &Call<'_>) -> Result<Vec<u8>, Refused> {
        let url = format!("{base}/{}", call.path);
        let request = self.request(call.method.clone(), &url, token)?;
        let request = match call.method {
            Method::GET => request,
            _ => request.body(call.body.clone()),
        };
        let response = client::send_any(request, self.limits).await?;
        if response.status().is_success() {
            Ok(client::whole(response, self.limits).await?)
        } else {
            Err(client::refused(response, call.endpoint, &[token.expose()]).await)
        }
    }
}

/// A call that any host may answer.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Bytes,
    endpoint: Endpoint,
}

/// [`SetupApi`] over HTTP, for one account.
struct HttpSetup<'a> {
    client: &'a AntigravityClient,
    token: &'a Secret,
}

impl HttpSetup<'_> {
    async fn post(&self, path: &str, body: &SetupRequest<'_>) -> Result<Vec<u8>, Refused> {
        let call = Call {
            method: Method::POST,
            path,
            body: json(body)?,
            endpoint: Endpoint::Setup,
        };
        let client = self.client;
        client.walk(&client.setup_bases, self.token, &call).await
    }
}

impl SetupApi for HttpSetup<'_> {
    async fn load(&self, project: Option<&str>) -> Result<Setup, (Failure, bool)> {
        let body = SetupRequest {
            tier_id: None,
            metadata: Metadata {
                configured: &self.client.metadata,
                duet_project: project,
            },
            project,
        };
        match self.post("v1internal:loadCodeAssist", &body).await {
            Ok(answer) => read_load(&answer).map_err(|failure| (failure, false)),
            Err(refused) => {
                let service_controls = match details::read(&refused.body) {
                    details::Body::Json(details) => {
                        details.has_reason(&["SECURITY_POLICY_VIOLATED"])
                    }
                    _ => false,
                };
                Err((refused.failure, service_controls))
            }
        }
    }

    async fn onboard(
        &self,
        onboard: &Onboard,
        project: Option<&str>,
    ) -> Result<Operation, Failure> {
        let body = SetupRequest {
            tier_id: Some(&onboard.tier_id),
            metadata: Metadata {
                configured: &self.client.metadata,
                duet_project: project,
            },
            project,
        };
        let answer = self.post("v1internal:onboardUser", &body).await;
        read_operation(&answer.map_err(|refused| refused.failure)?)
    }

    async fn operation(&self, name: &str) -> Result<Operation, Failure> {
        let path = format!("v1internal/{name}");
        let call = Call {
            method: Method::GET,
            path: &path,
            body: Bytes::new(),
            endpoint: Endpoint::Setup,
        };
        let client = self.client;
        let answer = client.walk(&client.setup_bases, self.token, &call).await;
        read_operation(&answer.map_err(|refused| refused.failure)?)
    }
}

fn no_host(host: usize) -> Failure {
    Failure::new(Class::Network, format!("there is no host {host}"))
}

/// `{base}/v1internal:{method}`.
fn method_url(base: &str, method: &str) -> String {
    format!("{base}/v1internal:{method}")
}

fn hosts(urls: &[String]) -> Vec<String> {
    urls.iter()
        .map(|url| url.trim_end_matches('/').to_owned())
        .collect()
}

/// The headers that every call has: the user agent, and the configured ones as they are.
fn headers(upstream: &model::Upstream) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let agent = HeaderValue::try_from(upstream.user_agent.as_str())
        .map_err(|_| "expected a text that can be a header in `user_agent`".to_owned())?;
    headers.insert(USER_AGENT, agent);
    for (name, value) in &upstream.headers {
        let bad = |what: &str| format!("expected {what} in `headers`, at `{name}`");
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| bad("a header's name"))?;
        // The value may be a secret, so that the message leaves it out.
        let value = HeaderValue::try_from(value.expose()).map_err(|_| bad("a header's value"))?;
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn json(body: &impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Failure::new(Class::ServerError, format!("no body to send: {error}")))
}

/// Reads countTokens' answer.
fn read_count(answer: &[u8]) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        total_tokens: lenient::Number,
    }
    serde_json::from_slice::<Count>(answer)
        .map(|count| count.total_tokens.0)
        .map_err(|error| {
            Failure::new(
                Class::UpstreamGarbage,
                format!("the count of tokens can't be read: {error}"),
            )
        })
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
