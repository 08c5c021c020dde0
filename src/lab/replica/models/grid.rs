//! A tiny world of 5 by 5 places and a policy that knows the way.

/// `[x, y]`
pub(super) type Place = [i64; 2];

const SIZE: i64 = 5;
/// Where an episode ends.
pub(super) const GOAL: Place = [SIZE - 1, SIZE - 1];

/// Whether a place is one of the world.
pub(super) fn is_inside(place: Place) -> bool {
    place.iter().all(|at| (0..SIZE).contains(at))
}

/// The policy's action, and where it leads. A wrong policy walks into the wall.
pub(super) fn act([x, y]: Place, wrong: bool) -> (&'static str, Place) {
    match () {
        () if wrong => ("left", [(x - 1).max(0), y]),
        () if x < GOAL[0] => ("right", [x + 1, y]),
        () if y < GOAL[1] => ("up", [x, y + 1]),
        () => ("stay", [x, y]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_reaches_the_goal_and_a_wrong_one_does_not() {
        let walk = |wrong: bool| (0..8).fold([0, 0], |place, _| act(place, wrong).1);
        assert_eq!((walk(false), walk(true)), (GOAL, [0, 0]));
        assert!(is_inside(GOAL) && !is_inside([5, 0]) && !is_inside([0, -1]));
    }
}
