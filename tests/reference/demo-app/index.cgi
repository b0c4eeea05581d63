#!/bin/sh
up=$(cut -d. -f1 /proc/uptime)
cat <<EOF
Content-Type: text/html; charset=utf-8

<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>OsBuild demo</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:34em;margin:12vh auto;padding:0 1em;color:#1b2733;background:#f6f8fa}
h1{font-size:1.7em;margin:0 0 .6em}table{border-collapse:collapse;width:100%}td{padding:.35em .6em;border-top:1px solid #d5dde5}td:first-child{color:#5b6b7a;width:11em}</style>
<h1>${GREETING:-OsBuild demo}</h1>
<table><tr><td>Container</td><td>$(hostname)</td></tr>
<tr><td>Kernel</td><td>$(uname -r) $(uname -m)</td></tr>
<tr><td>Up for</td><td>${up} s</td></tr>
<tr><td>Clock container says</td><td>$(cat /data/now 2>/dev/null || echo nothing yet)</td></tr></table>
EOF
