package setup

// guideName is the set-up guide's, also in its draft.
const guideName = "setup"
