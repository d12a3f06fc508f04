// Package report has the words for people: the texts of commit statuses.
//
// It is pure: the same facts, the same text. The one rule: numbers first, since
// a description is cut at 140 characters and people read its start.
package report
