{{- /*
A value as a CEL expression: dict "value" … "type" "Object.spec.volumes". Objects become Object types, but maps whose keys
are free. In strings, ${x} is the expression x, and a string that is ${x} alone, or ${int:x}, is that expression as it is.
*/ -}}
{{- define "model-sidecar.cel" -}}
{{- $type := .type }}
{{- $value := .value }}
{{- if kindIs "map" $value }}
{{- $fields := list }}
{{- $free := regexMatch "\\.(limits|requests)$" $type }}
{{- range $name, $field := $value }}
{{- $key := ternary (quote $name) $name $free }}
{{- $fields = append $fields (printf "%s: %s" $key (include "model-sidecar.cel" (dict "value" $field "type" (printf "%s.%s" $type $name)))) }}
{{- end }}
{{- ternary "" $type $free }}{{ "{" }}{{ join ", " $fields }}{{ "}" }}
{{- else if kindIs "slice" $value }}
{{- $items := list }}
{{- range $value }}
{{- $items = append $items (include "model-sidecar.cel" (dict "value" . "type" $type)) }}
{{- end }}
{{- "[" }}{{ join ", " $items }}{{ "]" }}
{{- else if kindIs "string" $value }}
{{- if regexMatch "^\\$\\{[^}]*\\}$" $value }}
{{- $value | trimPrefix "${" | trimPrefix "int:" | trimSuffix "}" }}
{{- else }}
{{- $text := regexReplaceAll "\\$\\{int:([^}]*)\\}" (quote $value) "\" + string(${1}) + \"" }}
{{- regexReplaceAll "\\$\\{([^}]*)\\}" $text "\" + ${1} + \"" | replace " + \"\"" "" }}
{{- end }}
{{- else }}
{{- toJson $value }}
{{- end }}
{{- end }}

{{- /* What annotations look like: the same as in sidecar/inject/form.py. */ -}}
{{- define "model-sidecar.forms" -}}
{{- $name := "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?" }}
{{- $dns := "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?" }}
{{- $label := "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" }}
{{- $part := "[A-Za-z0-9_-][A-Za-z0-9._-]*" }}
{{- $duration := "[1-9][0-9]{0,3}[smhdw]" }}
{{- $cpu := "[1-9][0-9]{0,5}m?" }}
{{- $memory := "[1-9][0-9]{0,8}(Ki|Mi|Gi|k|M|G)" -}}
model: {{ $name | quote }}
model-version: {{ $name | quote }}
reference: {{ printf "/?%s(/%s){0,30}" $part $part | quote }}
reference-configmap: {{ $dns | quote }}
reference-volume: {{ $label | quote }}
windows: {{ printf "%s(,%s){0,7}" $duration $duration | quote }}
config-configmap: {{ $dns | quote }}
socket-dir: {{ printf "/%s(/%s){0,9}" $part $part | quote }}
image: "[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}"
port: "(102[4-9]|10[3-9][0-9]|1[1-9][0-9]{2}|[2-9][0-9]{3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
cpu-request: {{ $cpu | quote }}
cpu-limit: {{ $cpu | quote }}
memory-request: {{ $memory | quote }}
memory-limit: {{ $memory | quote }}
containers: "[a-z0-9-]+(,[a-z0-9-]+)*"
{{- end }}

{{- /* The value of an annotation, else an expression: dict "name" "image" "else" "\"x\"". */ -}}
{{- define "model-sidecar.annotationCel" -}}
{{- $key := printf "model-sidecar.io/%s" .name | quote -}}
{{ $key }} in variables.annotations ? variables.annotations[{{ $key }}] : {{ .else }}
{{- end }}

{{- /* Memory and CPU as numbers that can be compared. */ -}}
{{- define "model-sidecar.above" -}}
quantity({{ .request }}).compareTo(quantity({{ .limit }})) > 0
{{- end }}
