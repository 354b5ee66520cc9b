//! Tools and which of them must be called. upstream-protocol.md 5.5.

use crate::base::error::Error;
use crate::ir::{Family, Losses, Request, Tool, ToolChoice};
use crate::wire::gemini::names::Names;
use crate::wire::gemini::schema::{self, SchemaTarget};
use crate::wire::gemini::writer::{self, Object};

/// The parameters of a tool that takes one free text.
const FREE_TEXT: &str =
    r#"{"type":"OBJECT","properties":{"input":{"type":"STRING"}},"required":["input"]}"#;

/// The tools of one request as they go out, and the mode of calling.
pub(super) struct Plan<'r> {
    tools: Vec<&'r Tool>,
    mode: Option<&'static str>,
    allowed: Vec<&'r str>,
    /// Whether a tool must be called.
    pub(super) forced: bool,
}

/// Decides tools and mode.
///
/// # Errors
/// The client wants a tool called that it does not declare.
pub(super) fn plan<'r>(
    req: &'r Request,
    family: Option<Family>,
    losses: &mut Losses,
) -> Result<Plan<'r>, Error> {
    let mut plan = Plan {
        tools: Vec::new(),
        mode: None,
        allowed: Vec::new(),
        forced: false,
    };
    if family == Some(Family::Image) {
        if !req.tools.is_empty() {
            losses.note("tools (an image model takes none)");
        }
        return Ok(plan);
    }
    for (n, tool) in req.tools.iter().enumerate() {
        if plan.tools.iter().any(|t| t.name == tool.name) {
            losses.note(format!("tools[{n}] ({}: declared twice)", tool.name));
        } else {
            plan.tools.push(tool);
        }
    }
    if plan.tools.is_empty() {
        if matches!(
            req.tool_choice,
            Some(ToolChoice::Any | ToolChoice::Named(_) | ToolChoice::Allowed { .. })
        ) {
            losses.note("tool_choice (there are no tools)");
        }
        return Ok(plan);
    }
    let claude = family == Some(Family::Claude);
    match &req.tool_choice {
        None => plan.mode = claude.then_some("VALIDATED"),
        Some(ToolChoice::Auto) => plan.mode = Some(if claude { "VALIDATED" } else { "AUTO" }),
        Some(ToolChoice::None) => plan.mode = Some("NONE"),
        Some(ToolChoice::Any) => plan.force(Vec::new()),
        Some(ToolChoice::Named(name)) => {
            let allowed = plan.declared(std::slice::from_ref(name))?;
            plan.force(allowed);
        }
        Some(ToolChoice::Allowed { names, required }) => {
            let allowed = plan.declared(names)?;
            if *required {
                plan.force(allowed);
            } else {
                plan.mode = Some("VALIDATED");
                plan.allowed = allowed;
            }
        }
    }
    Ok(plan)
}

impl<'r> Plan<'r> {
    fn force(&mut self, allowed: Vec<&'r str>) {
        self.mode = Some("ANY");
        self.allowed = allowed;
        self.forced = true;
    }

    /// Only declared names may be allowed.
    fn declared(&self, names: &'r [String]) -> Result<Vec<&'r str>, Error> {
        let mut allowed: Vec<&str> = Vec::with_capacity(names.len());
        for name in names {
            if !self.tools.iter().any(|t| t.name == *name) {
                return Err(Error::bad_request(
                    "tool_choice",
                    format!("expected the name of a tool in `tools`, found `{name}`"),
                ));
            }
            if !allowed.contains(&name.as_str()) {
                allowed.push(name);
            }
        }
        if allowed.is_empty() {
            return Err(Error::bad_request(
                "tool_choice",
                "expected the name of at least one tool in `tools`, found none",
            ));
        }
        Ok(allowed)
    }

    /// The names of the tools that take one free text.
    pub(super) fn free_text(&self) -> impl Iterator<Item = &'r str> {
        self.tools
            .iter()
            .filter(|t| t.free_text)
            .map(|t| t.name.as_str())
    }

    /// Writes `tools` and `toolConfig` into the request.
    ///
    /// # Errors
    /// A tool's parameters are no JSON Schema.
    pub(super) fn write(
        &self,
        request: &mut Object<'_>,
        names: &Names,
        family: Option<Family>,
    ) -> Result<(), Error> {
        if self.tools.is_empty() {
            return Ok(());
        }
        self.write_tools(request.key("tools"), names, family)?;
        let Some(mode) = self.mode else {
            return Ok(());
        };
        let mut config = Object::new(request.key("toolConfig"));
        let mut calling = Object::new(config.key("functionCallingConfig"));
        calling.string("mode", mode);
        if !self.allowed.is_empty() {
            writer::list(
                calling.key("allowedFunctionNames"),
                &self.allowed,
                |out, name| {
                    writer::string(out, names.wire(name));
                },
            );
        }
        calling.end();
        config.end();
        Ok(())
    }

    /// Writes the value of `tools`: all functions in one entry.
    fn write_tools(
        &self,
        out: &mut Vec<u8>,
        names: &Names,
        family: Option<Family>,
    ) -> Result<(), Error> {
        out.extend_from_slice(b"[{\"functionDeclarations\":[");
        for (n, tool) in self.tools.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write_tool(out, tool, names, family).map_err(|e| Error {
                param: Some(format!("tools.{}", tool.name)),
                ..e
            })?;
        }
        out.extend_from_slice(b"]}]");
        Ok(())
    }

    /// The tools as text, to be counted where only text is counted (5.8); `None` where there are none.
    ///
    /// # Errors
    /// A tool's parameters are no JSON Schema.
    pub(super) fn as_text(
        &self,
        names: &Names,
        family: Option<Family>,
    ) -> Result<Option<String>, Error> {
        if self.tools.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        self.write_tools(&mut out, names, family)?;
        Ok(String::from_utf8(out).ok())
    }
}

fn write_tool(
    out: &mut Vec<u8>,
    tool: &Tool,
    names: &Names,
    family: Option<Family>,
) -> Result<(), Error> {
    let mut function = Object::new(out);
    function.string("name", names.wire(&tool.name));
    if let Some(description) = tool.description.as_deref().filter(|d| !d.is_empty()) {
        function.string("description", description);
    }
    if tool.free_text {
        function.raw("parameters", FREE_TEXT);
    } else {
        let target = SchemaTarget::of(family);
        let cleaned = match &tool.parameters {
            Some(schema) => schema::clean_parameters(schema, target)?,
            None => None,
        };
        match (cleaned, target) {
            (Some(schema), _) => function.json("parameters", &schema),
            (None, SchemaTarget::Claude) => {
                function.raw("parameters", r#"{"type":"object","properties":{}}"#);
            }
            (None, SchemaTarget::Gemini) => {}
        }
    }
    function.end();
    Ok(())
}
