// On the page of search results: the messages of errors that are nearest to what was typed or pasted.
// The search itself wants each word, but paths and numbers of a message differ from case to case.
'use strict'

const SHOWN = 5
// shares of the rare words, of a message and of what was typed, that make two the same
const OF_MESSAGE = 0.6
const OF_QUERY = 0.9

function listWords(text) {
  return new Set(text.replace(/\{[^}]*\}/g, ' ').toLowerCase().match(/[a-z][a-z0-9_]+/g) || [])
}

function findErrors(query, errors) {
  const messages = errors.map((error) => ({ ...error, words: listWords(error.text) }))
  const counts = new Map()
  for (const { words } of messages) {
    for (const word of words) counts.set(word, (counts.get(word) || 0) + 1)
  }
  const weigh = (words) =>
    [...words].reduce((sum, word) => sum + Math.log(messages.length / (counts.get(word) || 0.5)), 0)
  const asked = listWords(query)
  for (const message of messages) {
    message.shared = weigh([...message.words].filter((word) => asked.has(word)))
    const isNear = message.shared >= OF_MESSAGE * weigh(message.words)
    message.isFound = message.shared > 0 && (isNear || message.shared >= OF_QUERY * weigh(asked))
  }
  const found = messages.filter((message) => message.isFound)
  return found.sort((one, other) => other.shared - one.shared).slice(0, SHOWN)
}

function showErrors(errors) {
  const found = findErrors(new URLSearchParams(location.search).get('q') || '', errors)
  if (!found.length) return
  const section = document.createElement('section')
  section.id = 'error-results'
  section.append(Object.assign(document.createElement('h2'), { textContent: 'Messages of errors' }))
  for (const { text, page, remedy } of found) {
    const link = Object.assign(document.createElement('a'), { href: page, textContent: text })
    const line = Object.assign(document.createElement('p'), { textContent: remedy })
    section.append(link, line)
  }
  document.querySelector('#search-results').before(section)
}

window.addEventListener('DOMContentLoaded', () => showErrors(window.mmotionErrors || []))
