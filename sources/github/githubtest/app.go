package githubtest

// app is a GitHub App and its installation.
type app struct{}

// CheckRun is one.
type CheckRun struct{}
