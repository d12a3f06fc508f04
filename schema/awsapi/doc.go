// Package awsapi turns what users of App Mesh without Kubernetes hold (answers
// of AWS's API, CloudFormation templates, Terraform states and plans) into
// documents of appmesh.k8s.aws/v1beta2.
//
// It owns the shape of AWS's API (fields.txt, written from AWS's own model),
// the three dialects in which people hold it, and where it differs from the
// documents' shape. What a document may hold is package schema's to say:
// [Import] loads what it wrote and passes on what the schema finds. It does no
// I/O: same files, same [Result].
//
// The one rule: nothing is lost in silence. A field, a resource or a value that
// does not come through is a [Note] that says what to do.
//
//	r, err := awsapi.Import(ctx, []awsapi.File{{Name: "web.json", Data: answer}}, awsapi.Options{})
package awsapi
