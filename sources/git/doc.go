// Package git reads specs from git: it keeps a bare, single-branch copy of a
// repository on disk, of all its commits and as little else as the remote lets
// it, and hands commits out as file systems. There is no work tree; nothing is
// ever checked out.
//
//	repo, err := git.Open(git.Config{URL: "https://example.com/mesh.git", Branch: "main", Dir: "state/git"})
//	rev, err := repo.Fetch(ctx) // the branch's tip, every object of it read and checked
//	data, err := fs.ReadFile(rev.Files, "shop/router.yaml")
//	merge, err := repo.Merge(ctx, rev.Commit, head) // what merging a pull request would give
//	undo, err := repo.Revert(ctx, bad, good, rev.Commit) // what takes the branch back
//
// The one rule: the store's reference moves last. Objects come as whole packs,
// are renamed into place, are read back and checked, and only then does the
// branch point at them. So a killed daemon, a cut connection or a remote that
// somebody is still writing leaves the last good commit where it was, and a
// commit that is in the store has all its history there too. What else it reaches
// is there as far as it is needed (lean.go). What breaks the store nevertheless
// (a disk, a hand) is noticed when a start or a fetch reads it, and the store is
// replaced by a fresh clone.
//
// Commits of pull requests stay in the store; [Config].MaxPull bounds each. To be
// rid of them, remove the store's directory while the daemon is down: it is
// cloned anew.
//
// go-git keeps the packs and speaks HTTP. What is here instead is what go-git v5
// does in another way: the order of a fetch (Remote.Fetch moves the reference
// before the objects are known to be good), fetches that leave out what nobody
// needs (its clones know no filters, its protocol layer does), the copy from a
// path (it runs the git binary), the merging of small packs (RepackObjects
// rewrites everything: 10 s for 30 MB in 101 packs), the dialling of SSH (it
// cannot be cancelled while a server says nothing), merge bases (it reads the
// whole history), and merges (it has none).
package git
