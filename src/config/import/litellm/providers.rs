//! LiteLLM's providers and the kinds of agp's upstreams.
//!
//! Names of providers and variables as in BerriAI/litellm, `litellm/litellm_core_utils/get_llm_provider_logic.py` and its pages
//! under `docs/my-website/docs/providers`. Hosts are those that the providers publish for OpenAI's dialect; where LiteLLM
//! takes another by default (`DeepSeek`'s beta one) or another variable first (`TOGETHER_API_KEY`), the report's reader must look.

use crate::config::import::names::printable;

/// A provider that an upstream can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// Where it is, where that is not the kind's own host; empty where `api_base` must say it.
    pub(super) base: Option<&'static str>,
    /// The variable that LiteLLM takes the key from when none is given.
    pub(super) variable: Option<&'static str>,
}

const fn own(name: &'static str, kind: &'static str, variable: Option<&'static str>) -> Provider {
    Provider {
        name,
        kind,
        base: None,
        variable,
    }
}

const fn like_openai(
    name: &'static str,
    base: &'static str,
    variable: Option<&'static str>,
) -> Provider {
    Provider {
        name,
        kind: "openai",
        base: Some(base),
        variable,
    }
}

const PROVIDERS: &[Provider] = &[
    own("openai", "openai", Some("OPENAI_API_KEY")),
    own("anthropic", "anthropic", Some("ANTHROPIC_API_KEY")),
    own("gemini", "gemini", Some("GEMINI_API_KEY")),
    own("vertex_ai", "vertex", None),
    own("vertex_ai_beta", "vertex", None),
    like_openai("custom_openai", "", Some("OPENAI_API_KEY")),
    like_openai("openai_like", "", None),
    like_openai("hosted_vllm", "", None),
    like_openai("lm_studio", "", None),
    like_openai("llamafile", "", None),
    like_openai("litellm_proxy", "", Some("LITELLM_PROXY_API_KEY")),
    like_openai(
        "groq",
        "https://api.groq.com/openai/v1",
        Some("GROQ_API_KEY"),
    ),
    like_openai(
        "mistral",
        "https://api.mistral.ai/v1",
        Some("MISTRAL_API_KEY"),
    ),
    like_openai(
        "deepseek",
        "https://api.deepseek.com/v1",
        Some("DEEPSEEK_API_KEY"),
    ),
    like_openai(
        "together_ai",
        "https://api.together.xyz/v1",
        Some("TOGETHERAI_API_KEY"),
    ),
    like_openai(
        "cerebras",
        "https://api.cerebras.ai/v1",
        Some("CEREBRAS_API_KEY"),
    ),
    like_openai(
        "sambanova",
        "https://api.sambanova.ai/v1",
        Some("SAMBANOVA_API_KEY"),
    ),
    like_openai(
        "nvidia_nim",
        "https://integrate.api.nvidia.com/v1",
        Some("NVIDIA_NIM_API_KEY"),
    ),
    like_openai(
        "meta_llama",
        "https://api.llama.com/compat/v1",
        Some("LLAMA_API_KEY"),
    ),
    like_openai("xai", "https://api.x.ai/v1", Some("XAI_API_KEY")),
    like_openai(
        "openrouter",
        "https://openrouter.ai/api/v1",
        Some("OPENROUTER_API_KEY"),
    ),
    like_openai(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        Some("FIREWORKS_API_KEY"),
    ),
];

/// Names without a provider before them, by their beginning; the lists that LiteLLM looks into are longer.
const BARE: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "vertex_ai"),
];

/// The provider of a deployment and the model's name there.
///
/// # Errors
/// Why it can't be told, or that agp has no kind for it.
pub(super) fn of(model: &str, custom: Option<&str>) -> Result<(Provider, String), String> {
    let (name, model) = match custom {
        Some(custom) => {
            let prefix = format!("{custom}/");
            (custom, model.strip_prefix(&prefix).unwrap_or(model))
        }
        None => match model.split_once('/') {
            Some(split) => split,
            None if model == "*" => ("openai", model),
            None => {
                let known = BARE.iter().find(|(start, _)| model.starts_with(start));
                let (_, name) = known.ok_or("its provider can't be told from its name")?;
                (*name, model)
            }
        },
    };
    // A `/` more than usual, as in `vertex_ai/gemini/...`, is the model's own.
    let known = PROVIDERS.iter().find(|provider| provider.name == name);
    known
        .map(|provider| (*provider, model.to_owned()))
        .ok_or_else(|| {
            let name = printable(name);
            format!("agp has no kind of upstream for provider `{name}`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_told_as_litellm_tells_them() {
        for (model, custom, name, left) in [
            ("openai/gpt-4o", None, "openai", "gpt-4o"),
            ("gpt-4o", None, "openai", "gpt-4o"),
            ("claude-x", None, "anthropic", "claude-x"),
            ("gemini/gemini-x", None, "gemini", "gemini-x"),
            ("gemini-x", None, "vertex_ai", "gemini-x"),
            ("openrouter/a/b", None, "openrouter", "a/b"),
            ("a/b", Some("hosted_vllm"), "hosted_vllm", "a/b"),
            ("groq/x", Some("groq"), "groq", "x"),
            ("*", None, "openai", "*"),
        ] {
            let (provider, model) = of(model, custom).unwrap();
            assert_eq!((provider.name, model.as_str()), (name, left));
        }
        assert!(of("azure/x", None).unwrap_err().contains("`azure`"));
        assert!(of("mystery", None).is_err());
    }
}
