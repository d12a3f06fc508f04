package git_test

import (
	"testing"

	"github.com/meshwright/meshwright/sources/git"
)

// BenchmarkPoll is a look at a remote that has nothing new.
func BenchmarkPoll(b *testing.B) {
	o := newOrigin(b)
	o.commitAndPush("first", manyFiles(1000)...)
	for name, url := range map[string]string{"path": o.bare, "http": o.serve().repoURL()} {
		b.Run(name, func(b *testing.B) {
			r := open(b, git.Config{URL: url})
			mustFetch(b, r)
			b.ReportAllocs()
			for b.Loop() {
				mustFetch(b, r)
			}
		})
	}
}

// BenchmarkFetch is one new commit that changes one of 1,000 files.
func BenchmarkFetch(b *testing.B) {
	o := newOrigin(b)
	for name, url := range map[string]string{"path": o.bare, "http": o.serve().repoURL()} {
		b.Run(name, func(b *testing.B) {
			hashes := o.history(1000, manyFiles(1000)...)
			o.move(hashes[0])
			r := open(b, git.Config{URL: url})
			mustFetch(b, r)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i++ { // b.Loop may not go on beyond the history
				b.StopTimer()
				o.move(hashes[1+i%(len(hashes)-1)])
				b.StartTimer()
				mustFetch(b, r)
			}
		})
	}
}

// BenchmarkClone is the first fetch of 1,000 files.
func BenchmarkClone(b *testing.B) {
	o := newOrigin(b)
	o.commitAndPush("first", manyFiles(1000)...)
	for name, url := range map[string]string{"path": o.bare, "http": o.serve().repoURL()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustFetch(b, open(b, git.Config{URL: url}))
			}
		})
	}
}
