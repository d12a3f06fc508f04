// Package report has the words for people: the texts of commit statuses and the
// one comment on a pull request.
//
// It is pure: the same facts, the same text. Two rules: numbers first, since a
// description is cut at 140 characters and people read its start; and whatever
// others wrote reaches a page through markdown.go.
package report
