{{/* Names, labels and addresses of everything the chart makes. */}}

{{/* At most 44 characters: the StatefulSet's pods have its name, `-tracker` and a hash in a label of 63. validate.yaml
       refuses what is longer. */}}
{{- define "larder.fullname" -}}
{{- if contains "larder" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name | trunc 37 | trimSuffix "-" }}-larder{{ end }}
{{- end }}

{{/* What tells this installation from others in the same cluster, where names are cluster-wide: 8 hex digits. */}}
{{- define "larder.hash" -}}
{{- printf "%s/%s" .Release.Namespace .Release.Name | sha256sum | trunc 8 }}
{{- end }}

{{/* Of (list $ COMPONENT). What selects pods; never changes. */}}
{{- define "larder.selector" -}}
app.kubernetes.io/name: larder
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Of (list $ COMPONENT). */}}
{{- define "larder.labels" -}}
{{ include "larder.selector" . }}
{{ include "larder.versionLabels" (index . 0) }}
{{- end }}

{{- define "larder.versionLabels" -}}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Of what belongs to no component. */}}
{{- define "larder.commonLabels" -}}
app.kubernetes.io/name: larder
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{ include "larder.versionLabels" . }}
{{- end }}

{{/* Of (list $ NAME): the image of that name. */}}
{{- define "larder.image" -}}
{{- $root := index . 0 -}}
{{ printf "%s/%s:%s" $root.Values.image.registry (index . 1) ($root.Values.image.tag | default $root.Chart.AppVersion) | quote }}
{{- end }}

{{/* A tracker's Raft id is its ordinal: ordinals begin at 1. Of (dict "root" $ "port" PORT "id" BOOL). */}}
{{- define "larder.trackers" -}}
{{- $name := printf "%s-tracker" (include "larder.fullname" .root) -}}
{{- $members := list -}}
{{- range $id := untilStep 1 (int (add1 .root.Values.tracker.replicas)) 1 -}}
{{- $address := printf "%s-%d.%s-peers.%s.svc:%d" $name $id $name $.root.Release.Namespace (int $.port) -}}
{{- $members = append $members (ternary (printf "%d=%s" $id $address) $address (default false $.id)) -}}
{{- end -}}
{{ join "," $members }}
{{- end }}

{{/* Every agent beats to each manager, so each has a name of its own. */}}
{{- define "larder.peerManagers" -}}
{{- $managers := list -}}
{{- range $i := until (int .Values.peerManager.replicas) -}}
{{- $managers = append $managers (printf "%s-peer-manager-%d.%s.svc:7420" (include "larder.fullname" $) $i $.Release.Namespace) -}}
{{- end -}}
{{ join "," $managers }}
{{- end }}

{{/* The directory of the agent's sockets, on the host and, under the same name, in its container. */}}
{{- define "larder.runDir" -}}
/run/larder-agent/{{ include "larder.hash" . }}
{{- end }}

{{/* The sockets in it know no pods: with CSI they are the operator's alone. */}}
{{- define "larder.socketDir" -}}
{{- if .Values.csi.enabled }}/run/larder{{ else }}{{ include "larder.runDir" . }}{{ end }}
{{- end }}

{{- define "larder.dataDir" -}}
{{ .Values.agent.data.hostPath | default (printf "/var/lib/larder/%s" (include "larder.hash" .)) }}
{{- end }}
