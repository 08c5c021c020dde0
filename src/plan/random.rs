//! Named streams of randomness: each choice draws from a stream of its own,
//! so that one more draw here changes nothing there.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The stream `name` of the run's `seed`. The same pair always gives the same
/// numbers, on every machine.
pub fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(name.as_bytes()));
    rng
}

/// FNV-1a with 64 bits: stable, unlike the standard library's hasher.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn a_stream_is_fixed_by_seed_and_name() {
        let draw = |seed, name| stream(seed, name).random::<u64>();
        assert_eq!(draw(1, "arrivals/a"), draw(1, "arrivals/a"));
        assert_ne!(draw(1, "arrivals/a"), draw(1, "arrivals/b"));
        assert_ne!(draw(1, "arrivals/a"), draw(2, "arrivals/a"));
        // Published test vector of FNV-1a.
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
