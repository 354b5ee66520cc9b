//! Accounts, models, keys.

use crate::server::admin::api::accounts::{
    AccountPage, ActOnAccounts, Acted, AddAccount, AddAccounts, AddedAccount, AddedAccounts,
    OneAccount, RefreshAccounts,
};
use crate::server::admin::api::edits::{Edited, Job, JobList, JobStarted};
use crate::server::admin::api::keys::{KeyList, KeyUsage, MadeKey, NewKey};
use crate::server::admin::api::models::{ModelList, ModelTest, Offers, Picked, TestModel};
use crate::server::admin::api::oauth::{
    ConfirmOauth, OauthPending, OauthStarted, PasteOauth, StartOauth,
};
use crate::server::admin::operation::{Operation, Query};
use crate::server::admin::{accounts, adding, edits, jobs, keys, models, oauth, pick, playground};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<AccountPage>("account list", "/accounts", accounts::list)
        .does("accounts with state and quotas, all or a page of them")
        .asks(&[
            Query::text("q", "part of a name, e-mail, tag or project"),
            Query::text("state", "only those in this state; several separated by commas"),
            Query::text("upstream", "only those of this upstream"),
            Query::text("tag", "only those with this tag"),
            Query::text("tier", "only those of this tier of the provider"),
            Query::choice(
                "sort",
                &["name", "state", "last_used", "remaining", "errors", "in_flight", "requests", "tier"],
                "by what; name where none is given",
            ),
            Query::flag("desc", "the last first"),
            Query {
                name: "offset",
                takes: crate::server::admin::Takes::Number(0, 1_000_000),
                summary: "how many to leave out at the begin",
            },
            Query::number("limit", 1000, "how many to give; all where none is given"),
        ]),
    Operation::get::<OneAccount>("account show", "/accounts/{name}", accounts::show)
        .does("an account's state and quotas"),
    Operation::post::<OneAccount>("account release", "/accounts/{name}/release", accounts::release)
        .does("end an account's cooldowns; put one that waits for a person back on trial"),
    Operation::post::<OneAccount>("account pause", "/accounts/{name}/pause", accounts::pause)
        .does("take an account out of use until it is resumed"),
    Operation::post::<OneAccount>("account resume", "/accounts/{name}/resume", accounts::resume)
        .does("take a paused account back into use"),
    Operation::post::<OneAccount>("account refresh", "/accounts/{name}/refresh", accounts::refresh)
        .does("ask an account's upstream for token, project, models and quotas now, and tell what it said"),
    Operation::edit::<Edited>("account enable", "/accounts/{name}/enable", |gateway, params| {
        edits::switch(gateway, params, true)
    })
    .does("set an account's `enabled` to true in the file"),
    Operation::edit::<Edited>("account disable", "/accounts/{name}/disable", |gateway, params| {
        edits::switch(gateway, params, false)
    })
    .does("set an account's `enabled` to false in the file"),
    Operation::post::<Acted>("accounts act", "/pool/act", accounts::act)
        .takes::<ActOnAccounts>()
        .does("pause, resume or release several accounts"),
    Operation::post::<JobStarted>("accounts refresh", "/pool/refresh", jobs::start)
        .takes::<RefreshAccounts>()
        .does("ask the upstreams of several accounts, or of all, and tell how it goes as a job"),
    Operation::edit::<AddedAccount>("account add", "/accounts", adding::add)
        .takes::<AddAccount>()
        .does("add an account by its refresh token, or renew the one with this e-mail"),
    Operation::edit::<AddedAccounts>("accounts import", "/pool/import", adding::import)
        .takes::<AddAccounts>()
        .does("add several accounts given as JSON or CSV"),
    Operation::response::<OauthStarted>("oauth start", "/oauth", oauth::start)
        .takes::<StartOauth>()
        .does("begin to add an account by its provider's consent page"),
    Operation::post::<OauthPending>("oauth paste", "/oauth/paste", oauth::paste)
        .takes::<PasteOauth>()
        .does("take the address that the browser ended at"),
    Operation::get::<OauthPending>("oauth show", "/oauth/{state}", oauth::show)
        .does("how far a sign-in at a provider is"),
    Operation::edit::<AddedAccount>("oauth confirm", "/oauth/{state}/confirm", oauth::confirm)
        .takes::<ConfirmOauth>()
        .does("make the account that was signed in, or renew it"),
    Operation::post::<OauthPending>("oauth cancel", "/oauth/{state}/cancel", oauth::cancel)
        .does("forget a sign-in"),
    Operation::get::<JobList>("job list", "/jobs", jobs::list).does("long work of late"),
    Operation::get::<Job>("job show", "/jobs/{id}", jobs::show).does("how far long work is"),
    Operation::post::<Job>("job cancel", "/jobs/{id}/cancel", jobs::cancel)
        .does("begin no more parts of long work"),
    Operation::get::<KeyList>("key list", "/keys", keys::list)
        .asks(&[
            Query::text("q", "part of a name, label, group or digest"),
            Query::text("name", "only the key of this name"),
            Query::choice("state", keys::STATES, "only those in this state"),
            Query::text("group", "only those of this group"),
            Query::choice("sort", keys::SORTS, "by what; name where none is given"),
            Query::flag("desc", "the last first"),
            Query {
                name: "offset",
                takes: crate::server::admin::Takes::Number(0, 1_000_000),
                summary: "how many to leave out at the begin",
            },
            Query::number("limit", 1000, "how many to give; all where none is given"),
        ])
        .does("client keys, all or a page of them, and groups, with their limits and what is used of them"),
    Operation::edit::<MadeKey>("key add", "/keys", keys::add)
        .takes::<NewKey>()
        .does("make a client key; its answer is the only place where the key is ever shown"),
    Operation::get::<KeyUsage>("key usage", "/keys/usage", keys::usage)
        .asks(&[Query::text("name", "of this key and its group only")])
        .does("what keys and groups have used of their limits, and when these reset"),
    Operation::get::<ModelList>("model list", "/models", models::list)
        .asks(&[Query::text("key", "only what this key may use")])
        .does("public models and their routes"),
    Operation::get::<Offers>("model offers", "/offers", models::offers).does("what upstreams list"),
    Operation::post::<ModelTest>("model test", "/models/{name}/test", playground::test)
        .takes::<TestModel>()
        .does("send a short real request to a model, and tell who served it"),
    Operation::get::<Picked>("pick", "/pick", pick::pick)
        .asks(&[
            Query::text("model", "the public model"),
            Query::number("requests", 1_000_000, "how many draws; 1000 where none is given"),
            Query::text("key", "with this key's rights"),
            Query::text("conversation", "as a request of this conversation"),
        ])
        .does("draw accounts for a model as requests would, and count"),
];
