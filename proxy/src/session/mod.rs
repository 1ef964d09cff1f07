//! One client: start-up, forwarding, the decision what memory may answer, and the answers.
