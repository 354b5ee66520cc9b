//! The files, their history, and the state.

use serde_json::Value;

use crate::config::model::Role;
use crate::server::admin::api::configuration::{Configuration, Settings};
use crate::server::admin::api::edits::{Edit, Edited};
use crate::server::admin::api::history::{
    AskRollback, BackedUp, GenerationDiff, History, Planned, Reloaded, RollbackPlan, Rotated,
};
use crate::server::admin::operation::{Operation, Query};
use crate::server::admin::{configuration, edits, history, openapi, plan, state};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<Configuration>("config show", "/config", configuration::show)
        .does("the files as they are now, what is found in them, and what is in force"),
    Operation::get::<Settings>(
        "config settings",
        "/config/settings",
        configuration::settings,
    )
    .asks(&[
        Query::text(
            "under",
            "only those of these sections or entries, such as upstreams,accounts.alice",
        ),
        Query::text("without", "not those of these sections or entries"),
    ])
    .does("every value in force and where it came from"),
    Operation::get::<Value>("config schema", "/config/schema", |_, _| {
        Ok(crate::config::schema::value().clone())
    })
    .does("the JSON Schema of the file"),
    Operation::edit::<Edited>("config edit", "/config/edit", edits::config)
        .takes::<Edit>()
        .does("change settings, accounts, groups, keys, models or upstreams in the files"),
    Operation::post::<Planned>("plan", "/plan", plan::plan)
        .takes::<Value>()
        .role(Role::Read)
        .does("tell what a configuration would change here"),
    Operation::post::<Reloaded>("reload", "/reload", plan::reload)
        .does("read the configuration files now"),
    Operation::get::<History>("history", "/history", history::list)
        .asks(&[Query::number(
            "limit",
            10_000,
            "how many; 20 where none is given",
        )])
        .does("the generations of the files that are kept, newest first"),
    Operation::get::<GenerationDiff>("diff", "/history/{generation}/diff", history::diff)
        .asks(&[
            Query::text(
                "with",
                "the other generation; the one in force where none is given",
            ),
            Query::flag("plan", "in words too"),
        ])
        .does("what differs between two generations' files, secrets masked"),
    Operation::post::<RollbackPlan>("rollback plan", "/history/{generation}/plan", history::plan)
        .takes::<AskRollback>()
        .role(Role::Read)
        .does("tell what going back to a generation would change"),
    Operation::post::<Edited>(
        "rollback",
        "/history/{generation}/rollback",
        history::rollback,
    )
    .takes::<AskRollback>()
    .does("put a generation's texts back into the files"),
    Operation::post::<Rotated>("rotate", "/rotate", state::rotate)
        .does("wrap the key of what is stored encrypted for the present identity and recipients"),
    Operation::post::<BackedUp>("state backup", "/state/backup", state::backup)
        .does("copy the state into a new file in the state folder, to be moved away"),
    Operation::get::<Value>("openapi", "/openapi.json", |_, _| {
        Ok(openapi::document().clone())
    })
    .does("this document"),
];
