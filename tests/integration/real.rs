//! Tests against real servers, which `scripts/real-servers` installs:
//! `cargo test --test integration -- --ignored real::`.

mod child;
mod drills;
mod kserve;
mod lifetime;
mod openai;
mod plain;
mod servers;

pub(crate) use servers::{LITELLM_KEY, Real, litellm, llama, llama_with, mlserver, nginx, triton};
