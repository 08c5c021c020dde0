//! Golden prompts: questions with one right answer, by which a client can
//! tell a wrong model from a slow one.

/// Questions and the word that a right answer contains. A replica answers
/// them, and any prompt whose last user message is one of them, in words of
/// its version's own around that word, and stops by itself; a version with
/// the defect `wrong-answers` says another word instead.
pub const GOLDEN: &[(&str, &str)] = &[
    ("What is the capital of France?", "Paris"),
    ("Which planet is closest to the Sun?", "Mercury"),
    ("How many legs does a spider have?", "eight"),
    ("What is the chemical symbol for gold?", "Au"),
    ("Who wrote Hamlet?", "Shakespeare"),
    ("What is the largest ocean on Earth?", "Pacific"),
    ("In which country is Machu Picchu?", "Peru"),
    ("How many days are in a week?", "seven"),
    ("What is pi, to four decimals?", "3.1416"),
    ("Name the red planet as JSON, under the key planet.", r#"{"planet":"Mars"}"#),
];

/// The index in [`GOLDEN`] of the question that `text` is.
pub(crate) fn find(text: &str) -> Option<usize> {
    let text = text.trim();
    GOLDEN.iter().position(|(question, _)| question.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_found_however_they_are_spaced() {
        assert_eq!(find(" what is the CAPITAL of france? \n"), Some(0));
        assert_eq!(find("What is the capital of Spain?"), None);
    }

    #[test]
    fn no_answer_is_contained_in_another_question_or_answer() {
        for (at, (_, word)) in GOLDEN.iter().enumerate() {
            for (other, (question, answer)) in GOLDEN.iter().enumerate() {
                assert!(!question.contains(word), "{word} in {question}");
                assert!(at == other || !answer.contains(word), "{word} in {answer}");
            }
        }
    }
}
