//! Journal and verdict → HTML, PNG, terminal.
