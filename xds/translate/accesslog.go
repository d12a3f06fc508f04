package translate

import (
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshwright/meshwright/schema"
)

// accessLog is what a node or gateway logs, in and out. A text format without
// a newline at its end gets one, or the file would be one line.
func accessLog(l *schema.Logging) []*accesslogv3.AccessLog {
	if l == nil || l.AccessLog == nil || l.AccessLog.File == nil {
		return nil
	}
	file := l.AccessLog.File
	log := &filelogv3.FileAccessLog{Path: file.Path}
	switch f := file.Format; {
	case f == nil: // Envoy's default
	case len(f.JSON) > 0:
		fields := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for _, pair := range f.JSON {
			fields.Fields[pair.Key] = structpb.NewStringValue(pair.Value)
		}
		log.AccessLogFormat = &filelogv3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: fields},
		}}
	case f.Text != "":
		log.AccessLogFormat = &filelogv3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
				Specifier: &corev3.DataSource_InlineString{InlineString: strings.TrimSuffix(f.Text, "\n") + "\n"},
			}},
		}}
	}
	return []*accesslogv3.AccessLog{{
		Name:       "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed(log)},
	}}
}
