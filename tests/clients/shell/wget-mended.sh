#!/usr/bin/env bash
# wget in a loop, one try each: it comes back with the last id, after the delay that was asked for.
id='' retry=3000
while true; do
  while IFS= read -r line; do
    case $line in
      id:*) id=${line#id: } ;;
      retry:*) retry=${line#retry:} ;;
      data:*'"message":'*) printf '{"id":"%s","data":%s}\n' "$id" "${line#data: }" ;;
    esac
  done < <(wget --quiet --tries=1 --output-document=- ${id:+--header="Last-Event-ID: $id"} "$1")
  sleep "$((retry / 1000)).$((retry % 1000 / 100))"
done
