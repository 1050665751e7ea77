#!/usr/bin/env bash
# wget alone: it tries again by itself, and does not know of ids.
wget --quiet --output-document=- "$1" | while IFS= read -r line; do
  case $line in
    id:*) id=${line#id: } ;;
    data:*'"message":'*) printf '{"id":"%s","data":%s}\n' "$id" "${line#data: }" ;;
  esac
done
