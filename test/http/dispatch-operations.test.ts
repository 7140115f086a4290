import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

everyOperation(tagged('dispatch'))
meetAllTheyPromise(tagged('dispatch'))
