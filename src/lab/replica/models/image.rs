//! An image model: three channels of 32 by 32 pixels in, ten scores out.

use std::time::Duration;

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
pub(super) fn scores(pixels: &[f32], wrong: bool) -> Vec<f32> {
    let mut all = Vec::with_capacity(pixels.len() / PIXELS * SCORES);
    for image in pixels.chunks_exact(PIXELS) {
        for first in 0..SCORES {
            let (sum, count) = image
                .iter()
                .skip(first)
                .step_by(SCORES)
                .fold((0.0, 0.0), |(sum, count), pixel| (sum + pixel, count + 1.0));
            all.push(if wrong { -sum / count } else { sum / count });
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
        let all = scores(&pixels, false);
        assert_eq!(all.len(), 2 * SCORES);
        assert!(all[..SCORES].iter().all(|score| (score - 0.5).abs() < 1e-6));
        assert!(all[SCORES..].iter().all(|score| (score + 1.0).abs() < 1e-6));
        assert_eq!(batch(&[2, 3, 32, 32], pixels.len()), Ok(2));
        for (shape, elements) in [(&[2, 3, 32][..], 0), (&[33, 3, 32, 32], 33 * PIXELS), (&[1, 3, 32, 32], 5)]
        {
            assert!(batch(shape, elements).is_err(), "{shape:?}");
        }
    }
}
