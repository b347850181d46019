{{/* Names are fixed: a cluster has one Rempart, because its policies, its lease and its canary are the cluster's. */}}

{{- define "rempart.selector" -}}
app.kubernetes.io/name: rempart
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rempart.labels" -}}
{{ include "rempart.selector" . }}
app.kubernetes.io/part-of: rempart
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rempart.image" -}}
{{- with .Values.image.registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* A length of time such as 90s, 30m, 6h or 2d in seconds. */}}
{{- define "rempart.seconds" -}}
{{- $unit := regexFind "[smhd]$" . }}
{{- mul (trimSuffix $unit . | int) (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) }}
{{- end }}

{{- /* What `rempart run --config` reads: the values that are the operator's. YAML 1.1 reads an unquoted off as false. */}}
{{- define "rempart.config" -}}
{{- $grants := .Values.grants | toString | replace "false" "off" }}
{{- $values := pick .Values "apiServers" "lease" "nodeLabelers" "probeEvery" }}
{{- merge (dict "grants" $grants "log" .log) $values | toYaml }}
{{- end }}
