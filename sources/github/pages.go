package github

import "strings"

// Files returns the prefix of the pages that show a commit's files to people:
// https://github.com/OWNER/NAME/blob/COMMIT/ for https://api.github.com/, and for
// Enterprise Server and Gitea what stands at the same host.
func (c *Client) Files(commit string) string {
	page := *c.api.BaseURL
	file := "/blob/"
	switch {
	case page.Host == "api.github.com":
		page.Host, page.Path = "github.com", "/"
	case c.gitea:
		page.Path, file = strings.TrimSuffix(page.Path, "api/v1/"), "/src/commit/"
	default:
		page.Path = strings.TrimSuffix(page.Path, "api/v3/")
	}
	return page.String() + c.name + file + commit + "/"
}
