package sources

// Revert is what undoes a commit's changes below the spec path on a branch, and
// the pull request that proposes it.
type Revert struct {
	Commit string // whose changes since To are undone, such as a merge
	To     string // commit that had been there before, and was good
	Tip    string // commit of the branch that Files change
	Root   string // hash of Tip's root tree
	// Files are those that Tip has as Commit had them, and To otherwise. Paths are
	// from the repository's root, sorted.
	Files []FileChange
	// Left are files that were changed again since Commit, or are no files that
	// can be written: they stay as they are, and somebody must look.
	Left []string

	// Key tells the pull request from others: its branch is meshwright/revert-KEY.
	Key     string
	Branch  string // that it is for
	Title   string
	Message string // of the commit: why, in plain text; Title goes before it
	Body    string // of the pull request, Markdown
}

// FileChange is a file as it is to be.
type FileChange struct {
	Path    string
	Mode    string // git's, octal: 100644, 100755, 120000
	Blob    string // hash of the content, which the repository has; "": the file goes
	Content []byte
	Was     string // hash of the content that goes; "": there is no file yet
}
