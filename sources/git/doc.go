// Package git reads specs from git: it keeps a bare, single-branch,
// full-history copy of a repository on disk and hands commits out as file
// systems. There is no work tree; nothing is ever checked out.
//
//	repo, err := git.Open(git.Config{URL: "https://example.com/mesh.git", Branch: "main", Dir: "state/git"})
//	rev, err := repo.Fetch(ctx) // the branch's tip, every object of it read and checked
//	data, err := fs.ReadFile(rev.Files, "shop/router.yaml")
//
// The one rule: the store's reference moves last. Objects come as whole packs,
// are renamed into place, are read back and checked, and only then does the
// branch point at them. So a killed daemon, a cut connection or a remote that
// somebody is still writing leaves the last good commit where it was, and an
// object that is in the store has everything it reaches in the store too.
// What breaks the store nevertheless (a disk, a hand) is noticed when it is
// read, and the next Fetch replaces the whole store by a fresh clone.
//
// go-git reads and writes the formats and speaks HTTP. The exchange itself is
// here, because go-git's own Fetch moves the reference before the objects are
// known to be good, and cannot be cancelled while an SSH server says nothing.
package git
