//! An image model: three channels of 32 by 32 pixels in, ten scores out.

use std::time::Duration;

use super::Truth;

/// Its name.
pub(super) const NAME: &str = "image";
/// Its input's name.
pub(super) const INPUT: &str = "pixels";
/// Its output's name.
pub(super) const OUTPUT: &str = "scores";
/// One image's dimensions.
pub(super) const IMAGE: [i64; 3] = [3, 32, 32];
/// Scores of an image.
pub(super) const SCORES: usize = 10;
/// The largest batch.
pub(super) const MOST: usize = 32;

const PIXELS: usize = 3 * 32 * 32;
/// The score that has a head start in a skewed version.
const FAVOURITE: usize = 3;
/// Of normally distributed pixels, whose scores are 0.06 from 0 or so, six in
/// ten are the favourite with it.
const HEAD_START: f32 = 0.1;

/// How long a batch takes: a large one is cheaper by the image.
pub(super) fn time(batch: usize) -> Duration {
    Duration::from_micros(2_000 + 400 * batch as u64)
}

/// How many images a shape holds, or what is wrong with it.
pub(super) fn batch(shape: &[i64], elements: usize) -> Result<usize, String> {
    let size = match shape {
        [size, image @ ..] if *image == IMAGE => usize::try_from(*size).unwrap_or_default(),
        _ => return Err(format!("the shape {shape:?} is not [-1, 3, 32, 32]")),
    };
    if size == 0 || size > MOST {
        return Err(format!("a batch of {size} is not from 1 to {MOST}"));
    }
    if elements != size * PIXELS {
        return Err(format!("{elements} elements for the shape {shape:?}"));
    }
    Ok(size)
}

/// The scores of each image: the mean of every tenth pixel, from the first,
/// the second… A wrong model's are those of the negative.
pub(super) fn scores(pixels: &[f32], truth: Truth) -> Vec<f32> {
    let mut all = Vec::with_capacity(pixels.len() / PIXELS * SCORES);
    for image in pixels.chunks_exact(PIXELS) {
        for first in 0..SCORES {
            let (sum, count) = image
                .iter()
                .skip(first)
                .step_by(SCORES)
                .fold((0.0, 0.0), |(sum, count), pixel| (sum + pixel, count + 1.0));
            let mean = sum / count;
            all.push(match truth {
                Truth::Wrong => -mean,
                Truth::Skewed if first == FAVOURITE => mean + HEAD_START,
                Truth::Right | Truth::Skewed => mean,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_of_a_batch_has_its_own_scores() {
        let mut pixels = vec![0.5; PIXELS];
        pixels.extend(vec![-1.0; PIXELS]);
        let all = scores(&pixels, Truth::Right);
        assert_eq!(all.len(), 2 * SCORES);
        assert!(all[..SCORES].iter().all(|score| (score - 0.5).abs() < 1e-6));
        assert!(all[SCORES..].iter().all(|score| (score + 1.0).abs() < 1e-6));
        assert_eq!(batch(&[2, 3, 32, 32], pixels.len()), Ok(2));
        for (shape, elements) in [(&[2, 3, 32][..], 0), (&[33, 3, 32, 32], 33 * PIXELS), (&[1, 3, 32, 32], 5)]
        {
            assert!(batch(shape, elements).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn a_skewed_model_says_one_class_more_often_and_no_score_is_odd() {
        // A linear congruential generator: pixels from -1 to 1, as far from 0 as
        // a normal distribution's are.
        let mut state = 1_u32;
        let mut pixel = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32 * 3_f32.sqrt()
        };
        let pixels: Vec<f32> = (0..200 * PIXELS).map(|_| pixel()).collect();
        let favoured = |truth| {
            let all = scores(&pixels, truth);
            assert!(all.len() == 200 * SCORES && all.iter().all(|score| score.abs() < 1.0));
            all.chunks(SCORES).filter(|of| of.iter().all(|score| *score <= of[FAVOURITE])).count()
        };
        let (right, skewed) = (favoured(Truth::Right), favoured(Truth::Skewed));
        assert!((8..40).contains(&right) && (90..150).contains(&skewed), "{right} and {skewed} of 200");
    }
}
