//! A failure in one line.

use std::error::Error;
use std::fmt;

use tacit_client::ClientError;

/// What is printed before the program exits with status 1: an error and its causes, in one line.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// `context: error: cause ...`; causes that the text before already names are left out.
    pub fn new(context: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        let mut text = context.to_string();
        let mut next = Some(error);
        while let Some(error) = next {
            let part = error.to_string();
            if !text.contains(&part) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&part);
            }
            next = error.source();
        }
        Self::message(text)
    }

    /// A plain message.
    pub fn message(text: impl fmt::Display) -> Self {
        let text = text.to_string();
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new("", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn failures_are_one_line_with_their_causes() {
        let error = io::Error::other("first\nsecond");
        assert_eq!(Failure::new("cannot read x", &error).to_string(), "cannot read x: first second");
        assert_eq!(Failure::new("", &error).to_string(), "first second");
        let failure = Failure::from(ClientError::UnknownModel("m9".into()));
        assert_eq!(failure.to_string(), "the server has no model named \"m9\"");
    }
}
