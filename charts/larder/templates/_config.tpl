{{/* The configuration files of the services: `config` of the values, and above it what the chart decides. */}}

{{- define "larder.agent.config" -}}
{{- $config := dict
      "listen" (dict "admin" "0.0.0.0:7469" "pieces" "0.0.0.0:7461")
      "tracker" (include "larder.trackers" (dict "root" . "port" 7410))
      "peer_manager" (include "larder.peerManagers" .)
      "arena" .Values.agent.arena
      "socket_dir" (include "larder.socketDir" .)
      "data_dir" "/var/lib/larder" -}}
{{- with .Values.quotas }}{{ $_ := set $config "quotas" . }}{{ end -}}
{{- if .Values.csi.enabled -}}
{{- $_ := set $config "identity" "csi" -}}
{{- $_ := set $config "csi" (dict "driver_name" .Values.csi.driverName "kubelet_dir" .Values.csi.kubeletDir "run_dir" (include "larder.runDir" .)) -}}
{{- with .Values.grants }}{{ $_ := set $config "grants" . }}{{ end -}}
{{- else -}}
{{- $_ := set $config "identity" "open" -}}
{{- end -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.agent.config) $config) }}
{{- end }}

{{- define "larder.tracker.config" -}}
{{- $config := dict
      "listen" (dict "admin" "0.0.0.0:7419" "grpc" "0.0.0.0:7410" "raft" "0.0.0.0:7411" "resp" (ternary "0.0.0.0:6379" "" .Values.tracker.resp.enabled))
      "data_dir" "/var/lib/larder"
      "cluster" (printf "%s-%s" (include "larder.fullname" .) (include "larder.hash" .))
      "initial_cluster" (include "larder.trackers" (dict "root" . "port" 7411 "id" true)) -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.tracker.config) $config) }}
{{- end }}

{{- define "larder.peerManager.config" -}}
{{- $config := dict
      "listen" (dict "admin" "0.0.0.0:7429" "grpc" "0.0.0.0:7420")
      "tracker" (splitList "," (include "larder.trackers" (dict "root" . "port" 7410))) -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.peerManager.config) $config) }}
{{- end }}

{{/* What a setting of the services is, as text; nothing if it is not set, or is a number, whose bounds the schema has. Of
       (list VALUES STEPS). */}}
{{- define "larder.textAt" -}}
{{- $value := index . 0 -}}
{{- range index . 1 -}}
{{- if kindIs "map" $value }}{{ $value = get $value . }}{{ else }}{{ $value = "" }}{{ end -}}
{{- end -}}
{{- if kindIs "string" $value }}{{ $value }}{{ end -}}
{{- end }}

{{/* Nanoseconds of a duration such as 1.5h, or bytes of a size such as 4MiB, as the services read them. */}}
{{- define "larder.measure" -}}
{{- $units := dict "" 1 "ns" 1 "us" 1000 "ms" 1000000 "s" 1000000000 "m" 60000000000 "h" 3600000000000 "d" 86400000000000
      "B" 1 "k" 1000 "K" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
      "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- if gt (len $unit) 1 }}{{ $unit = trimSuffix "B" $unit }}{{ end -}}
{{- mulf (regexFind "^[0-9.]+" .) (get $units $unit) -}}
{{- end }}

{{/* MiB of a size such as 1GiB. */}}
{{- define "larder.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- mul $number (ternary 1024 1 (hasSuffix "GiB" .)) -}}
{{- end }}

{{/* Bytes of a quantity of Kubernetes, such as 10Gi; Pi is the API's word for 1024Ti. */}}
{{- define "larder.quantityBytes" -}}
{{- $unit := dict "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $unit (regexFind "[A-Z]i$" .)) -}}
{{- end }}
