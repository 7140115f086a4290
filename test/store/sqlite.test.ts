import { describe } from 'vitest'
import { openMemoryStore } from '../support/store.ts'
import { storeContract } from './contract.ts'

describe('SqliteStore', () => storeContract(async () => openMemoryStore().store))
